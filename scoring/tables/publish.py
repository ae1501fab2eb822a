"""Publish scores: one commit replaces whole partitions, or nothing at all.

Data files and manifests are written first and stay invisible until the commit; a job that dies
before it leaves the table as it was. Two rules settle a race between jobs: a job that finds its own
key published is done, and a job that finds a later plan published yields.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from deltalake import DeltaTable
from deltalake.transaction import AddAction

from scoring.errors import BadStore
from scoring.store.layout import manifest_path
from scoring.store.parallel import in_parallel
from scoring.store.records import read_either, write_twice
from scoring.store.storage import Storage
from scoring.tables.commit import Change, commit, removal, write_file
from scoring.tables.delta import ensure_table, files, open_table, values_of
from scoring.tables.manifest import Manifest, Partition
from scoring.tables.schemas import PARTITION_COLUMNS, SCORES, SCORES_TABLE
from scoring.tables.score_rows import Rows, checked
from scoring.tables.tries import TRIES

Fate = Literal["committed", "already", "yielded"]
_File = dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of the partitions that a job wanted to publish."""

    committed: tuple[Manifest, ...] = ()
    already: tuple[Manifest, ...] = ()
    """The same key was published before, or by another job meanwhile."""
    yielded: tuple[Manifest, ...] = ()
    """A night that was planned later is published."""
    version: int | None = None
    """First version of `scores` with `committed`; None if nothing was committed."""


@dataclass(frozen=True)
class _Staged:
    manifest: Manifest
    file: AddAction


def published(
    storage: Storage,
    version: int | None = None,
    dataset: str | None = None,
    lost: Collection[str] = (),
) -> dict[Partition, Manifest]:
    """Read the manifest of each published partition; empty if nothing is published.

    Args:
        storage: the store.
        version: a version of `scores`; None: the newest.
        dataset: only partitions of this dataset.
        lost: data files that do not count as published.

    Raises:
        BadStore: the store cannot be read, or a manifest and its copy are missing.
        Damaged: a manifest and its copy are damaged.
    """
    table = open_table(storage, "scores", version)
    current = {} if table is None else _intact(_current(table), lost)
    return _manifests(
        storage, {p: old for p, old in current.items() if dataset in (None, p.dataset)}
    )


def read_manifest(storage: Storage, data_path: str) -> Manifest:
    """Read the manifest of a data file of `scores`.

    Raises:
        BadStore: it and its copy are missing.
        Damaged: it and its copy are damaged.
    """
    path = manifest_path(data_path)
    try:
        return read_either(storage, path, Manifest)
    except FileNotFoundError as error:
        raise BadStore(
            f"--store: expected all of tables/manifests, got neither {path} nor its copy; "
            "restore one from a backup"
        ) from error


def manifest_of(storage: Storage, table: DeltaTable, partition: Partition) -> Manifest:
    """Read the manifest of a partition in an open version of `scores`; see `published`."""
    return _manifests(storage, {partition: _current(table)[partition]})[partition]


def manifests_of(storage: Storage, table: DeltaTable) -> dict[Partition, Manifest]:
    """Read the manifest of each partition in an open version of `scores`; see `published`."""
    return _manifests(storage, _current(table))


def publish(
    storage: Storage,
    parts: Iterable[tuple[Manifest, Rows]],
    *,
    lost: Collection[str] = (),
    tries: int = TRIES,
) -> Outcome:
    """Replace partitions of `scores`, all in one commit.

    Args:
        storage: the store.
        parts: manifest and rows of each partition, all of one night. Partitions and their batches
            are consumed one at a time, so generators need to hold only one in memory. The rows of a
            partition that need not be published are not consumed.
        lost: damaged data files, whose partitions are published anew.
        tries: commits to attempt while other jobs commit first.

    Raises:
        IncompleteError: rows are missing, repeated or out of order, or other jobs always committed
            first; the table is unchanged.
    """
    before: dict[str, dict[Partition, Manifest]] = {}
    manifests: list[Manifest] = []
    staged: list[_Staged] = []
    fates: dict[Partition, Fate] = {}
    for manifest, rows in parts:
        if manifest.partition in fates:
            raise ValueError(f"{manifest.partition}: expected each partition once, got it twice")
        manifests.append(manifest)
        dataset = manifest.partition.dataset
        if dataset not in before:
            before[dataset] = published(storage, dataset=dataset, lost=lost)
        fates[manifest.partition] = fate(manifest, before[dataset].get(manifest.partition))
        if fates[manifest.partition] == "committed":
            staged.append(_stage(storage, manifest, rows))
        del rows  # free them before the next partition is made
    version = _commit(storage, staged, fates, lost, tries) if staged else None

    def with_fate(wanted: Fate) -> tuple[Manifest, ...]:
        return tuple(m for m in manifests if fates[m.partition] == wanted)

    return Outcome(
        committed=with_fate("committed"),
        already=with_fate("already"),
        yielded=with_fate("yielded"),
        version=version,
    )


def fate(ours: Manifest, theirs: Manifest | None) -> Fate:
    """Return what happens to `ours` if `theirs` is published."""
    if theirs is None:
        return "committed"
    if theirs.key == ours.key:
        return "already"
    return "yielded" if theirs.planned > ours.planned else "committed"


def _stage(storage: Storage, manifest: Manifest, rows: Rows) -> _Staged:
    path = manifest.new_data_path()
    whole, partition = checked(manifest, rows), manifest.partition._asdict()
    file = write_file(storage, "scores", path, whole, SCORES, partition)
    write_twice(storage, manifest_path(path), manifest)
    return _Staged(manifest, file)


def _commit(
    storage: Storage,
    staged: Sequence[_Staged],
    fates: dict[Partition, Fate],
    lost: Collection[str],
    tries: int,
) -> int | None:
    """Commit what is staged; update `fates` from the newest version."""

    def prepare(table: DeltaTable) -> Change | None:
        ours = {part.manifest.partition: part for part in staged}
        current = {p: old for p, old in _current(table).items() if p in ours}
        theirs = _manifests(storage, _intact(current, lost))
        fates.update({p: fate(part.manifest, theirs.get(p)) for p, part in ours.items()})
        winning = [part for p, part in ours.items() if fates[p] == "committed"]
        return _change(table, winning, current) if winning else None

    ensure_table(storage, "scores", SCORES_TABLE, PARTITION_COLUMNS)
    return commit(storage, "scores", prepare, tries)


def _change(
    table: DeltaTable, parts: Sequence[_Staged], current: Mapping[Partition, list[_File]]
) -> Change:
    partitions = [part.manifest.partition for part in parts]
    names = [f"partition:{partition}" for partition in partitions]
    return Change(
        adds=[part.file for part in parts],
        removes=[removal(old) for p in partitions for old in current.get(p, ())],
        transactions={name: (table.transaction_version(name) or 0) + 1 for name in names},
        metadata={"night_id": parts[0].manifest.night_id},
    )


def _current(table: DeltaTable) -> dict[Partition, list[_File]]:
    """Return the data files of each partition in the open version."""
    found: dict[Partition, list[_File]] = {}
    for file in files(table):
        found.setdefault(Partition(**values_of(file)), []).append(file)
    return found


def _intact(
    current: Mapping[Partition, list[_File]], lost: Collection[str]
) -> dict[Partition, list[_File]]:
    """Return the partitions none of whose data files are lost."""
    return {p: old for p, old in current.items() if all(f["path"] not in lost for f in old)}


def _manifests(
    storage: Storage, current: Mapping[Partition, list[_File]]
) -> dict[Partition, Manifest]:
    paths = [old[0]["path"] for old in current.values()]
    return dict(zip(current, in_parallel(partial(read_manifest, storage), paths), strict=True))
