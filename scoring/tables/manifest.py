"""What a published partition was made of.

Each data file of `scores` has a manifest of the same name beside the table, written once, before
the commit that makes the file visible. So the table's log names the manifest of every partition, at
every version.
"""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import quote


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
    """Digest of everything that the partition is made of: equal keys, equal rows."""
    night_id: str
    planned_at: str
    """ISO 8601 with a UTC offset: of two nights, the later plan wins."""
    settings: Mapping[str, Any]
    """What must not change in silence: metric config, fleet, net, limit; JSON values."""
    dataset_version: str
    trained_on: Mapping[str, str]
    """Split to the dataset version that its runs were trained on."""
    runs: tuple[str, ...]
    """Keys of the runs behind the scores and the predictions, those they started from included."""
    rows: int
    base: str = ""
    """Key of the fleet's base run; empty where an earlier protoscore published."""
    staged: tuple[str, ...] = ()
    """Paths of the staged files that the rows were read from, those of the predictions too."""

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
        """A path in the table that no other publication of the same key shares."""
        folders = (f"{n}={quote(v, safe='')}" for n, v in self.partition._asdict().items())
        return f"{'/'.join(folders)}/{self.key}-{uuid.uuid4().hex[:8]}.parquet"
