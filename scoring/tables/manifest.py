"""Manifests: what each published partition was made of.

Every data file of `scores` has a manifest of the same name in `tables/manifests`, written once,
before the commit that makes the file visible. So the table's log leads to the manifest of every
partition at every version.
"""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from scoring.store.layout import partition_folder


class Partition(NamedTuple):
    """A part of `scores` that is published as a whole."""

    dataset: str
    split: str
    metric: str

    def __str__(self) -> str:
        return "/".join(self)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a partition was made of, when, and with which settings."""

    partition: Partition
    key: str
    """Digest of everything the partition is made of: equal keys, equal rows."""
    night_id: str
    planned_at: str
    """ISO 8601 with a UTC offset; of two nights, the one planned later wins."""
    settings: Mapping[str, Any]
    """Settings that must not change silently: metric config, fleet, net, limit; JSON values."""
    dataset_version: str
    trained_on: Mapping[str, str]
    """Dataset version of each split that the runs were trained on."""
    runs: tuple[str, ...]
    """Keys of the runs behind the scores and the predictions, and of the runs they started from."""
    rows: int
    base: str = ""
    """Key of the fleet's base run; empty if an earlier protoscore published the partition."""
    staged: tuple[str, ...] = ()
    """Paths of the staged files that the rows were read from, predictions included."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9A-Za-z]+", self.key):
            raise ValueError(f"key: expected letters and digits, got {self.key!r}")
        if self.planned.tzinfo is None:
            raise ValueError(f"planned_at: expected a time with UTC offset, got {self.planned_at}")

    @property
    def planned(self) -> datetime:
        """`planned_at` as a time."""
        return datetime.fromisoformat(self.planned_at)

    def new_data_path(self) -> str:
        """Return a path in the table that no other publication of the same key has."""
        folder = partition_folder(self.partition._asdict())
        return f"{folder}/{self.key}-{uuid.uuid4().hex[:8]}.parquet"
