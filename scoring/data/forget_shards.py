"""Forgotten rows leave a dataset: its shards are cut around them, versions and receipts follow.

Every shard stays a contiguous range of example ids, so a forgotten row cuts its shard in two. The
other rows keep their ids, and the parts are those that ingest would make. Earlier versions keep
their names, because runs were trained on them, but lose the rows.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from scoring.data.corrections import in_force, within
from scoring.data.forgotten import Certificate, example_hash, holds_ids, kept_ranges
from scoring.data.receipts import Receipt, receipt_of
from scoring.data.shapes import InputShape
from scoring.data.shard_columns import columns_of
from scoring.data.shard_parts import read_columns
from scoring.data.shards import ShardRecord, reading
from scoring.data.versions import DatasetVersion, all_versions
from scoring.data.write_shard import cut_shard
from scoring.store.keys import SPLITS
from scoring.store.layout import (
    DATASETS,
    receipts_folder,
    shard_path,
    shards_folder,
    stem,
    version_path,
)
from scoring.store.parallel import in_parallel
from scoring.store.parquet import opened_parquet, read_parquet
from scoring.store.records import read_sound_records, write_record, write_twice
from scoring.store.storage import Storage


@dataclass(frozen=True, kw_only=True)
class Examples:
    """What a split holds of some examples, in any of its versions."""

    names: tuple[str, ...]
    """The user's own names for them, sorted."""
    hashes: tuple[str, ...]
    """`example_hash` of each, sorted."""
    shards: tuple[str, ...]
    """Content hashes of the shards that hold them."""


def ids_by_name(
    storage: Storage, versions: Sequence[DatasetVersion], names: Iterable[str]
) -> dict[str, set[int]]:
    """Return the ids of all examples with the given names, leaving out unknown names."""
    wanted = {*names}
    found: dict[str, set[int]] = {}

    def read(pair: tuple[str, ShardRecord]) -> list[tuple[int, str | None]]:
        with reading(storage, *pair):
            rows = read_columns(storage, *pair, ["example_id", "name"])
        columns = (rows[name].to_pylist() for name in ("example_id", "name"))
        return list(zip(*columns, strict=True))

    for rows in in_parallel(read, _shards(versions)):
        for example, name in rows:
            if name in wanted:
                found.setdefault(name, set()).add(example)
    return found


def known_ids(versions: Sequence[DatasetVersion], ids: Sequence[int]) -> set[int]:
    """Return those of some ids that a version holds; `ids` ascending."""
    known: set[int] = set()
    for _, record in _shards(versions):
        first, stop = (bisect_left(ids, record.first_id + n) for n in (0, record.rows))
        known.update(ids[first:stop])
    return known


def look_up(storage: Storage, versions: Sequence[DatasetVersion], ids: Sequence[int]) -> Examples:
    """Read the names and hashes of some examples; `ids` ascending.

    Raises:
        BadStore: a shard cannot be read.
        Damaged: a shard is not what was written.
    """
    names: set[str] = set()
    hashes: set[str] = set()
    contents = []
    shapes = _shapes(versions)
    for name, record in _shards(versions):
        if not _holds(record, ids):
            continue
        contents.append(record.content)
        shape = shapes[record.content]
        with reading(storage, name, record):
            rows = read_parquet(storage, record.path(name), columns_of(shape))
        rows = rows.filter(np.isin(rows["example_id"].to_numpy(), ids))
        names |= set(rows["name"].to_pylist()) - {None}
        hashes |= {example_hash(data) for data in rows[shape.column].to_pylist() if data}
    return Examples(
        names=tuple(sorted(names)), hashes=tuple(sorted(hashes)), shards=tuple(contents)
    )


def versions_with(versions: Sequence[DatasetVersion], ids: Sequence[int]) -> list[DatasetVersion]:
    """Return the versions that hold one of some examples; `ids` ascending."""
    return [v for v in versions if any(_holds(shard, ids) for shard in v.shards)]


@dataclass(frozen=True, kw_only=True)
class CutVersion:
    """A version and what is left of it."""

    before: DatasetVersion
    after: DatasetVersion
    """A version in its own right, without the forgotten rows."""

    def rewrite(self, storage: Storage) -> None:
        """Let the earlier version, under its name, have the shards that are left."""
        lost = self.before.rows - self.after.rows
        named = replace(
            self.after,
            named=self.before.version,
            forgotten=self.before.forgotten + lost,
        )
        write_twice(storage, version_path(named.name, named.split, named.named), named)


def cut_versions(
    storage: Storage, certificate: Certificate, advance: Callable[[], None]
) -> list[CutVersion]:
    """Cut the shards that hold forgotten rows, and save what is left of the versions with them.

    Receipts of what is left are written too. Nothing is removed or rewritten yet.
    """
    ids = certificate.ids
    every = all_versions(storage, certificate.dataset, certificate.split)
    versions = versions_with(every, ids)
    cuts: dict[ShardRecord, list[ShardRecord]] = {}
    for version in versions:
        for shard in version.shards:
            if shard not in cuts and _holds(shard, ids):
                with reading(storage, version.name, shard):
                    cuts[shard] = cut_shard(storage, version.name, shard, version.shape, ids)
                advance()
    made = []
    for version in versions:
        shards = [part for s in version.shards for part in cuts.get(s, [s])]
        after = replace(version, shards=tuple(shards), forgotten=0, named="")
        after.save(storage)
        made.append(CutVersion(before=version, after=after))
    _write_receipts(storage, certificate, cuts)
    return made


def _write_receipts(
    storage: Storage, certificate: Certificate, cuts: Mapping[ShardRecord, Sequence[ShardRecord]]
) -> None:
    """Write a receipt for each part of a piece, so that no night reads the piece again.

    Receipts that earlier corrections made are of no use to any night.
    """
    dataset = certificate.dataset
    corrections = in_force(storage, dataset)[certificate.split]
    for path, receipt in _receipts(storage, dataset).items():
        whole, rows = receipt.whole or stem(path), (receipt.first_id, receipt.rows)
        for of_rows in ((), within(corrections, *rows)):
            if path in {receipt_of(dataset, whole, part, of_rows) for part in (None, rows)}:
                for part in cuts.get(receipt.record, ()):
                    range_ = (part.first_id, part.rows)
                    target = receipt_of(dataset, whole, range_, within(of_rows, *range_))
                    write_record(storage, target, Receipt(**vars(part), whole=whole))


def remnants(storage: Storage, certificate: Certificate) -> tuple[list[str], list[str]]:
    """List what no version names any more and what holds forgotten rows: receipts, and shards.

    Receipts are to be removed first.
    """
    dataset = certificate.dataset
    versions = [v for split in SPLITS for v in all_versions(storage, dataset, split)]
    named = {record.content for _, record in _shards(versions)}
    there = {*map(stem, storage.ours(shards_folder(dataset)))}
    known = {*certificate.shards} - named
    strays = (there - named) - known
    gone = known | {
        content
        for content in sorted(strays)
        if holds_ids(storage, shard_path(dataset, content), ["example_id"], certificate.ids)
    }
    receipts = _receipts(storage, dataset)
    return (
        [path for path, receipt in receipts.items() if receipt.content in gone],
        [shard_path(dataset, content) for content in sorted(gone & there)],
    )


def copies(storage: Storage, hashes: Collection[str]) -> list[str]:
    """Name the rows of all shards of a store whose bytes are those of forgotten examples."""
    found = []
    for dataset in sorted(storage.names(DATASETS)):
        for split in SPLITS:
            versions = all_versions(storage, dataset, split)
            shapes = _shapes(versions)
            for _, record in _shards(versions):
                rows = _copied(storage, dataset, record, shapes[record.content], hashes)
                found += [f"{dataset} {split} {example}" for example in rows]
    return list(dict.fromkeys(found))


def _copied(
    storage: Storage,
    dataset: str,
    record: ShardRecord,
    shape: InputShape,
    hashes: Collection[str],
) -> list[int]:
    found: list[int] = []
    path, columns = record.path(dataset), ["example_id", shape.column]
    with (
        reading(storage, dataset, record),
        opened_parquet(storage, path, columns_of(shape)) as file,
    ):
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group, columns)
            pairs = zip(*(rows[column].to_pylist() for column in columns), strict=True)
            found += [example for example, data in pairs if data and example_hash(data) in hashes]
    return found


def _receipts(storage: Storage, dataset: str) -> dict[str, Receipt]:
    return read_sound_records(storage, storage.ours(receipts_folder(dataset)), Receipt)


def _holds(record: ShardRecord, ids: Sequence[int]) -> bool:
    whole = [(record.first_id, record.rows)]
    return kept_ranges(record.first_id, record.rows, ids) != whole


def _shapes(versions: Iterable[DatasetVersion]) -> dict[str, InputShape]:
    """Return the shape of the examples of each shard, by its content."""
    return {shard.content: version.shape for version in versions for shard in version.shards}


def _shards(versions: Iterable[DatasetVersion]) -> list[tuple[str, ShardRecord]]:
    """Return each shard of some versions once, with the dataset's name."""
    found = {
        shard.content: (version.name, shard) for version in versions for shard in version.shards
    }
    return list(found.values())
