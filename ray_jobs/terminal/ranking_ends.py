"""The two ends of a metric's ranking: what `outliers` and `prototypes` share."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro

from ray_jobs.terminal.console import default_store, parse_flags
from ray_jobs.terminal.tables import Format, show
from scoring.store.keys import Split
from scoring.tables import Store


@dataclass(frozen=True, kw_only=True)
class EndFlags:
    """Which end of which ranking to show."""

    metric: str
    """A published metric, such as adv_l2."""
    split: Split = "test"
    """Which split to look at."""
    label: str | None = None
    """Only this class, by name or index."""
    n: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 10
    """How many rows."""
    dataset: str | None = None
    """May be left out where only one is published."""
    store: str = field(default_factory=default_store)
    """A folder or s3://bucket/prefix; default: PROTOSCORE_STORE, else ./store."""
    format: Format | None = None
    """Default: what the suffix of --output says, else table."""
    output: str = ""
    """A file to write to; default: standard output."""


def show_end(end: Literal["outliers", "prototypes"], argv: Sequence[str] | None) -> int:
    """Show one end of a ranking, the most extreme example first."""
    extreme = "most outlying" if end == "outliers" else "most prototypical"
    flags = parse_flags(EndFlags, argv, f"protoscore {end}", f"The {extreme} examples.")
    store = Store(flags.store)
    rank = store.outliers if end == "outliers" else store.prototypes
    rows = rank(flags.metric, flags.split, flags.label, flags.n, flags.dataset)
    show(rows, flags.format, flags.output)
    return 0
