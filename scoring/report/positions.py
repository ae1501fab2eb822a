"""Where each example of a split stands in the report's columns.

A row of a shard is an example: an id may show another image in another dataset version, a shard
never does. So every shard that published scores were made of has its rows in the columns once, one
shard after the other, whichever versions name it.
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
    """A shard, and the position of its first row."""

    version: DatasetVersion
    """One that names it."""
    record: ShardRecord
    start: int


@dataclass(frozen=True)
class Positions:
    """The rows of shards, one shard after the other."""

    shards: tuple[PlacedShard, ...]

    @property
    def count(self) -> int:
        """Of all rows."""
        return sum(shard.record.rows for shard in self.shards)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {shard.record.content: number for number, shard in enumerate(self.shards)}

    def numbers(self, version: DatasetVersion) -> list[int]:
        """Which shards a dataset version holds, by rising example id."""
        records = sorted(version.shards, key=lambda record: record.first_id)
        return [self._numbers[record.content] for record in records]

    def of(self, version: DatasetVersion, ids: Ints) -> Ints:
        """[K] positions of ids [K] of a version; -1 where it has none of that id."""
        held = [self.shards[number] for number in self.numbers(version)]
        first, rows, start = (
            np.array(column, dtype=np.int64)
            for column in zip(
                *((s.record.first_id, s.record.rows, s.start) for s in held), strict=True
            )
        )
        at = np.maximum(np.searchsorted(first, ids, side="right") - 1, 0)
        offset = ids - first[at]
        return np.where((offset >= 0) & (offset < rows[at]), start[at] + offset, -1)


def place(versions: Iterable[DatasetVersion]) -> Positions:
    """Place the shards of some versions of a split; those of the first come first."""
    placed: dict[str, PlacedShard] = {}
    start = 0
    for version in versions:
        for record in sorted(version.shards, key=lambda record: record.first_id):
            if record.content not in placed:
                placed[record.content] = PlacedShard(version=version, record=record, start=start)
                start += record.rows
    return Positions(tuple(placed.values()))
