"""Files in a store that no published scores need.

A file is a leftover if it was written before a given time and is none of these:

    staging/    scores that the newest version of a partition was made from
    outputs/    logits of a run behind such a partition
    runs/       a run behind any kept version of `scores`, or behind `representers`; of those that
                were trained on forgotten examples, only runs behind the newest version
    features/   features by a run behind the newest version of either
    datasets/   a shard that a dataset version or a receipt names
    tables/     a data file of any kept version, or its manifest
    nights/     the record of a published night that is not in the tables yet
    studies/    the design of a study: answers to it may still come
    reviews/    the design of a label review: decisions may still come

Job records, damaged files, weights of imported runs (which become runs), and explanations (which
become rows of `representers`) are leftovers as soon as they are old enough. All other leftovers can
be made again, or were never finished. Files of other shapes than ours, and tables that we do not
know, are never leftovers.
"""

from collections.abc import Callable
from datetime import datetime
from functools import partial

from scoring.data.forgotten import certificates
from scoring.data.shards import ShardRecord
from scoring.data.versions import DatasetVersion
from scoring.errors import BadStore
from scoring.store import layout
from scoring.store.file_kinds import (
    dataset_of,
    is_ours,
    is_receipt,
    is_shard,
    is_training,
    is_version,
    run_of,
    table_of,
)
from scoring.store.parallel import in_parallel
from scoring.store.records import read_either, read_sound_records
from scoring.store.storage import Storage, StoredFile
from scoring.tables import sql
from scoring.tables.delta import check_log, kept_files
from scoring.tables.manifest import Manifest
from scoring.tables.nights import committed_nights, recorded_nights
from scoring.tables.publish import published, read_manifest
from scoring.tables.whole_partitions import (
    REPRESENTER_MODELS_TABLE,
    WHOLE_TABLES,
    table_sql,
)

TABLE_NAMES = ("scores", "nights", "runs", *(table.name for table in WHOLE_TABLES))
_FOLDERS = (*TABLE_NAMES, layout.MANIFESTS)
_Needed = Callable[[str], bool]


def leftovers(storage: Storage, before: datetime) -> dict[str, list[StoredFile]]:
    """List the leftovers written before a time, by top folder.

    No other job may be using the store: what it has just written would look like a leftover.

    Raises:
        BadStore: something that would say what is needed is missing or cannot be read.
    """
    _check_complete(storage)
    needed = _needed(storage)
    return {
        folder: [
            file
            for file in storage.walk(folder)
            if file.modified < before
            and is_ours(file.path)
            and (file.is_unfinished or not needed[folder](file.path))
        ]
        for folder in needed
    }


def _check_complete(storage: Storage) -> None:
    """Refuse a store without published scores, or with a table that has lost its log.

    Such as a backup that is only half restored: then nothing says which files are needed.
    """
    for name in TABLE_NAMES:
        files = [file for file in storage.walk(layout.table_path(name)) if is_ours(file.path)]
        check_log(storage, name, expected=bool(files))
    if not published(storage):
        raise BadStore(
            f"--store: expected published scores, which say what is needed, got none in "
            f"{storage.uri!r}; nothing was removed"
        )


def _needed(storage: Storage) -> dict[str, _Needed]:
    """Return, for each folder, a function that says whether a path in it is needed."""
    now = published(storage).values()
    kept = _kept_manifests(storage)
    staged = {path for manifest in now for path in manifest.staged}
    current_runs = {run for manifest in now for run in manifest.runs}
    explaining = _explaining_runs(storage)
    earlier_runs = {run for manifest in kept.values() for run in manifest.runs} | explaining
    kept_runs = current_runs | (earlier_runs - _trained_on_forgotten(storage))
    shards = _known_shards(storage)
    data = {
        layout.table_path(name, path) for name in TABLE_NAMES for path in kept_files(storage, name)
    }
    unrecorded = committed_nights(storage) - recorded_nights(storage)
    return {
        layout.STAGING: lambda path: path in staged,
        layout.OUTPUTS: lambda path: run_of(path) in current_runs,
        layout.FEATURES: lambda path: run_of(path) in current_runs | explaining,
        layout.EXPLANATIONS: lambda _: False,
        layout.RUNS: lambda path: run_of(path) in kept_runs and not is_training(path),
        layout.IMPORTS: lambda _: False,
        layout.DATASETS: lambda path: not is_shard(path) or path in shards,
        layout.TABLES: lambda path: (
            table_of(path) not in _FOLDERS or path in data or layout.original_path(path) in kept
        ),
        layout.NIGHTS: lambda path: layout.stem(path) in unrecorded,
        layout.JOBS: lambda _: False,
        layout.STUDIES: lambda _: True,
        layout.REVIEWS: lambda _: True,
        layout.DAMAGED: lambda _: False,
    }


def _kept_manifests(storage: Storage) -> dict[str, Manifest]:
    """Read the manifests of all data files of kept versions, by path."""
    paths = sorted(kept_files(storage, "scores"))
    read = in_parallel(partial(read_manifest, storage), paths)
    return dict(zip(map(layout.manifest_path, paths), read, strict=True))


def _known_shards(storage: Storage) -> set[str]:
    """Return the paths of the shards that a dataset version or a receipt names.

    A damaged receipt is passed over: its piece is ingested again, whatever becomes of the shard.
    """
    paths = storage.ours(layout.DATASETS)
    receipts = [path for path in paths if is_receipt(path)]
    versions = {layout.original_path(path) for path in paths if is_version(path)}
    found = {
        record.path(dataset_of(path))
        for path, record in read_sound_records(storage, receipts, ShardRecord).items()
    }
    for version in in_parallel(partial(read_either, storage, kind=DatasetVersion), versions):
        found |= {shard.path(version.name) for shard in version.shards}
    return found


def _explaining_runs(storage: Storage) -> set[str]:
    """Return the representer runs of published explanations, and the runs they are based on."""
    table = REPRESENTER_MODELS_TABLE
    views = {table.name: lambda: table_sql(storage, table)}
    found = sql.run(storage, f"select run, base_run from {table.name}", views)
    return {run for column in found.columns for run in column.to_pylist()}


def _trained_on_forgotten(storage: Storage) -> set[str]:
    return {run for certificate in certificates(storage) for run in certificate.models}
