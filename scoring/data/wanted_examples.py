"""Examples that a user names by id or by name: looked up among those that the source has today."""

from bisect import bisect
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter

import numpy as np

from scoring.data.forget_shards import ids_by_name, known_ids
from scoring.data.forgotten import example_hash
from scoring.data.ingest import PlannedShard, Survey
from scoring.data.shard_parts import read_columns, read_rows
from scoring.data.shards import ShardRecord, reading
from scoring.data.versions import DatasetVersion, all_versions
from scoring.store.keys import SPLITS, Split
from scoring.store.parallel import in_parallel
from scoring.store.storage import Storage

_SHOWN = 10
_NEW = "in a file that is new or has changed"
Place = tuple[Split, int]
"""Split and example id."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """An example that somebody names."""

    split: Split | None = None
    """None: the one split that has the example."""
    example_id: int | None = None
    """None: see `name`."""
    name: str | None = None
    """The user's own name for the example; of no use beside an id."""


class NotFound(Exception):
    """There is no such example, or there are several; the message is for people."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """An example as the source has it."""

    split: Split
    example_id: int
    example: str
    """`example_hash`."""
    given: str | None
    """Name of the class in the source."""


class Examples:
    """The examples that the source has today, as far as shards of the store hold them."""

    def __init__(
        self, storage: Storage, surveys: Mapping[Split, Survey], names: Collection[str | None]
    ) -> None:
        self._storage = storage
        self._surveys = surveys
        self._names = {name for name in names if name is not None}
        self._dataset = surveys["train"].name
        self._shape = surveys["train"].layout.shape
        self._shards = {
            split: sorted(surveys[split].shards, key=attrgetter("first_id")) for split in SPLITS
        }

    def find(self, wanted: Wanted) -> Place:
        """Return the one example that somebody names.

        Raises:
            NotFound: there is none, or there are several.
        """
        if wanted.example_id is not None:
            found = [(s, wanted.example_id) for s in SPLITS if self._shard(s, wanted.example_id)]
            what = f"the id of an example, got {wanted.example_id}"
        else:
            found = self._today.get(str(wanted.name), [])
            what = f"the name of an example, got {wanted.name!r}"
        if wanted.split is not None:
            found = [example for example in found if example[0] == wanted.split]
            what = f"{what} in the {wanted.split} split"
        if not found:
            raise NotFound(f"expected {what}{self._fate(wanted)}")
        if len(found) > 1:
            which = " and ".join(f"{split} {example_id}" for split, example_id in found[:_SHOWN])
            raise NotFound(f"expected one example, got {which}; say which by split and id")
        shard = self._shard(*found[0])
        if shard is None or _record(shard) is None:
            raise NotFound(
                f"expected an example that the store holds, got one {_NEW}; run protoscore ingest "
                "first"
            )
        return found[0]

    def rows(self, examples: Sequence[Place]) -> Iterator[Row]:
        """Read the rows of some examples; only what holds them is read."""
        ids: dict[tuple[Split, ShardRecord], list[int]] = {}
        for split, example_id in sorted(examples, key=lambda e: (SPLITS.index(e[0]), e[1])):
            shard = self._shard(split, example_id)
            if shard and (record := _record(shard)):
                ids.setdefault((split, record), []).append(example_id)
        for found in in_parallel(lambda item: self._read(*item[0], item[1]), ids.items()):
            yield from found

    def _read(self, split: Split, record: ShardRecord, ids: Sequence[int]) -> list[Row]:
        classes = self._surveys[split].layout.classes
        given = {row.example_id: row.given for row in record.overlaid}
        with reading(self._storage, self._dataset, record):
            wanted = np.array(ids, dtype=np.int64)
            table = read_rows(self._storage, self._dataset, record, self._shape, wanted, ["label"])
        rows = []
        for row in table.to_pylist():
            example_id, label = row["example_id"], row["label"]
            index = given.get(example_id, -1 if label is None else label)
            rows.append(
                Row(
                    split=split,
                    example_id=example_id,
                    example=example_hash(row[self._shape.column] or b""),
                    given=classes[index] if index >= 0 else None,
                )
            )
        return rows

    def _shard(self, split: Split, example_id: int) -> PlannedShard | None:
        """Return the shard of today's source that an example belongs to."""
        shards = self._shards[split]
        at = bisect(shards, example_id, key=attrgetter("first_id")) - 1
        if at < 0 or example_id >= shards[at].first_id + shards[at].rows:
            return None
        return shards[at]

    @cached_property
    def _today(self) -> dict[str, list[Place]]:
        """The examples that have one of the wanted names."""
        shards = [
            (split, record)
            for split in SPLITS
            for shard in self._shards[split]
            if (record := _record(shard))
        ]

        def read(item: tuple[Split, ShardRecord]) -> list[tuple[str, Place]]:
            split, record = item
            with reading(self._storage, self._dataset, record):
                rows = read_columns(self._storage, self._dataset, record, ["example_id", "name"])
            pairs = zip(*(rows[c].to_pylist() for c in ("example_id", "name")), strict=True)
            return [(name, (split, i)) for i, name in pairs if name in self._names]

        found: dict[str, list[Place]] = {}
        for named in in_parallel(read, shards):
            for name, example in named:
                found.setdefault(name, []).append(example)
        return found

    @cached_property
    def _versions(self) -> dict[Split, list[DatasetVersion]]:
        return {split: all_versions(self._storage, self._dataset, split) for split in SPLITS}

    @cached_property
    def _ever(self) -> dict[Split, Collection[str]]:
        """The wanted names that an example of any version has."""
        return {s: ids_by_name(self._storage, self._versions[s], self._names) for s in SPLITS}

    def _fate(self, wanted: Wanted) -> str:
        """Say why there is no such example, as far as the store tells; begins with ";"."""
        for split in SPLITS if wanted.split is None else (wanted.split,):
            if wanted.example_id is None:
                known = wanted.name in self._ever[split]
            else:
                known = bool(known_ids(self._versions[split], [wanted.example_id]))
            if known:
                return f"; the {split} split had it, but the source has it no more"
        missing = any(_record(shard) is None for split in SPLITS for shard in self._shards[split])
        if not missing or wanted.example_id is not None:
            return ""
        return f"; if it is {_NEW}, run protoscore ingest first"


def _record(shard: PlannedShard) -> ShardRecord | None:
    """Return a shard of the store with the rows of a planned one, whatever its labels."""
    return shard.record or shard.uncorrected
