"""What metrics declare, for those who read tables: known without importing PyTorch.

`python -m scoring.registry` writes `declared.jsonl`, a line for each metric; a test compares it
with the files of `scoring/metrics/`.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

FILE = Path(__file__).with_name("declared.jsonl")


@dataclass(frozen=True, kw_only=True)
class Declared:
    """The part of a metric's declaration that says what its rows mean."""

    metric: str
    purpose: str
    """One of `scoring.spec.Purpose`."""
    summary: str
    """One line."""
    unit: str
    direction: Literal["high", "low"]
    """The end of `value` that is prototypical."""
    ranked_by: Literal["value", "class_z"]
    """The column that `rank` and both percentiles follow."""
    source: str
    """Paper and section."""
    version: int


@cache
def declared() -> dict[str, Declared]:
    """Return what every metric declares, by name, sorted."""
    lines = FILE.read_text("utf-8").splitlines()
    found = [Declared(**json.loads(line)) for line in lines]
    return {metric.metric: metric for metric in found}


def ranked_by(metric: str) -> str:
    """Return what a metric is ranked by, in words; "" if it is no longer one of protoscore's."""
    known = declared().get(metric)
    return known.ranked_by.replace("_", " ") if known else ""
