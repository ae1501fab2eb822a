"""The position of each example of a split in the report's columns.

An id may stand for different images in different dataset versions, but the rows of a shard never
change. So the columns hold the rows of every shard that published scores were made from exactly
once, shard after shard, however many versions share a shard.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from scoring.arrays import Ints
from scoring.data.shards import ShardRecord
from scoring.data.versions import DatasetVersion


@dataclass(frozen=True, kw_only=True)
class PlacedShard:
    """A shard and the position of its first row."""

    version: DatasetVersion
    """A dataset version that holds the shard."""
    record: ShardRecord
    start: int


@dataclass(frozen=True)
class Positions:
    """Shards laid end to end."""

    shards: tuple[PlacedShard, ...]

    @property
    def count(self) -> int:
        """Rows of all shards."""
        return sum(shard.record.rows for shard in self.shards)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {shard.record.content: number for number, shard in enumerate(self.shards)}

    def shards_of(self, version: DatasetVersion) -> list[int]:
        """Return the numbers of a dataset version's shards, ordered by example id."""
        records = sorted(version.shards, key=lambda record: record.first_id)
        return [self._numbers[record.content] for record in records]

    def find(self, version: DatasetVersion, ids: Ints) -> Ints:
        """Return the positions [K] of a version's example ids [K]; -1 for ids it does not have."""
        shards = [self.shards[number] for number in self.shards_of(version)]
        first, rows, start = (
            np.array(column, dtype=np.int64)
            for column in zip(
                *((s.record.first_id, s.record.rows, s.start) for s in shards), strict=True
            )
        )
        at = np.maximum(np.searchsorted(first, ids, side="right") - 1, 0)
        offset = ids - first[at]
        return np.where((offset >= 0) & (offset < rows[at]), start[at] + offset, -1)


def place_shards(versions: Iterable[DatasetVersion]) -> Positions:
    """Lay out the shards of several versions of a split, those of the first version first."""
    placed: dict[str, PlacedShard] = {}
    start = 0
    for version in versions:
        for record in sorted(version.shards, key=lambda record: record.first_id):
            if record.content not in placed:
                placed[record.content] = PlacedShard(version=version, record=record, start=start)
                start += record.rows
    return Positions(tuple(placed.values()))
