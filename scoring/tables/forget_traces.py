"""Files that hold forgotten examples besides shards and tables: what was computed on the way.

All of them can be made again, or were never finished, so what cannot be told apart goes too.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from scoring.arrays import Ints
from scoring.data.forgotten import Certificate
from scoring.errors import Damaged
from scoring.store import layout
from scoring.store.parallel import in_parallel
from scoring.store.parquet import opened_parquet
from scoring.store.storage import Storage
from scoring.tables.publish import published


def traces(storage: Storage, certificate: Certificate) -> list[str]:
    """List the files to remove: logits, features, staged scores and explanations, remains of jobs.

    No other job may be using the store: unfinished files are taken for those of dead jobs.
    """
    return [
        *_of_shards(storage, certificate),
        *_with_ids(storage, certificate),
        *_remains(storage),
    ]


def _of_shards(storage: Storage, certificate: Certificate) -> Iterator[str]:
    """Yield logits and features of the shards, and logits of samples of any shard."""
    for folder in (layout.OUTPUTS, layout.FEATURES):
        for path in _ours(storage, folder):
            name = layout.stem(path)
            if name in certificate.shards or layout.is_of_sample(path):
                yield path


def _with_ids(storage: Storage, certificate: Certificate) -> list[str]:
    """List staged scores and explanations with the ids.

    Their names do not tell their split, so some may be of other examples; scores that another
    dataset or split is published from stay.
    """
    others = {
        path
        for manifest in published(storage).values()
        if (manifest.settings.get("dataset"), manifest.partition.split)
        != (certificate.dataset, certificate.split)
        for path in manifest.staged
    }
    ids = np.array(certificate.ids, dtype=np.int64)
    wanted = [(path, ["example_id"]) for path in _ours(storage, layout.STAGING)]
    wanted += [(path, ["test_id", "train_id"]) for path in _ours(storage, layout.EXPLANATIONS)]

    def check(pair: tuple[str, list[str]]) -> tuple[str, bool]:
        path, columns = pair
        return path, path not in others and _holds(storage, path, columns, ids)

    return [path for path, holds in in_parallel(check, wanted) if holds]


def _holds(storage: Storage, path: str, columns: list[str], ids: Ints) -> bool:
    try:
        wanted = pa.schema([pa.field(column, pa.int64()) for column in columns])
        with opened_parquet(storage, path, wanted) as file:
            rows = file.read(columns)
    except Damaged:  # it has been set aside
        return False
    return any(bool(np.isin(rows[column].to_numpy(), ids).any()) for column in columns)


def _remains(storage: Storage) -> Iterator[str]:
    """Yield what dead jobs and damage left: unfinished and damaged files, unfinished trainings."""
    for folder in layout.TOP_FOLDERS:
        for file in storage.walk(folder):
            if layout.is_ours(file.path) and (file.is_unfinished or folder == layout.DAMAGED):
                yield file.path
    runs = [path for path in _ours(storage, layout.RUNS)]
    finished = {
        layout.run_of(path) for path in runs if path == layout.run_path(layout.run_of(path))
    }
    for path in runs:
        if layout.is_training(path) and layout.run_of(path) not in finished:
            yield path


def _ours(storage: Storage, folder: str) -> list[str]:
    """List the finished files of ours in a folder."""
    return [
        file.path
        for file in storage.walk(folder)
        if layout.is_ours(file.path) and not file.is_unfinished
    ]
