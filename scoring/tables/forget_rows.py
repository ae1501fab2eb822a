"""Rows of forgotten examples leave the tables: data files are written again without them.

Each table changes in one commit; a second time there is nothing left to change. Data files that
held the examples stay on disk, for earlier versions, until they are removed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.transaction import AddAction

from scoring.store.file_kinds import partition_of
from scoring.store.keys import digest
from scoring.store.layout import manifest_path, table_path
from scoring.store.parquet import read_parquet
from scoring.store.records import read_either, write_twice
from scoring.store.storage import Storage
from scoring.tables.commit import Change, commit, removal, write_file
from scoring.tables.delta import ensure_table, files
from scoring.tables.forgetting import COMMAND, Forgetting, TableFile
from scoring.tables.manifest import Manifest
from scoring.tables.schemas import SCORES, SCORES_TABLE, completed, without_added
from scoring.tables.score_rows import checked
from scoring.tables.whole_partitions import WHOLE_TABLES, WholeTable

_AS_READ = {"scores": SCORES_TABLE, **{table.name: table.schema for table in WHOLE_TABLES}}

Rerank = Callable[[str, pa.Table, str], Iterator[pa.RecordBatch]]
"""Ranks what is left of a partition of `scores`: takes metric, rows and their dataset version."""


def rewrite(
    storage: Storage,
    forgetting: Forgetting,
    named: Sequence[TableFile],
    versions: Mapping[str, str],
    now: str,
    rerank: Rerank,
) -> dict[str, int]:
    """Commit the tables without the examples, for all data files that the newest versions show.

    Args:
        storage: the store; no other job writes to it.
        forgetting: the examples.
        named: what `files_with` found.
        versions: dataset version of the split to the version without the examples.
        now: the time, as ISO 8601 in UTC: what was planned before yields to what is written here.
        rerank: ranks the rows that are left.

    Returns:
        Table to its new version.
    """
    made: dict[str, dict[str, AddAction | None]] = {}
    for file in named:
        if file.current and file.table == "scores":
            new = _without_scores(storage, forgetting, file.path, versions, now, rerank)
        elif file.current:
            (table,) = (table for table in WHOLE_TABLES if table.name == file.table)
            new = _without(storage, forgetting, table, file.path)
        else:
            continue
        made.setdefault(file.table, {})[file.path] = new
    return {name: _replace(storage, name, new) for name, new in made.items()}


def _without_scores(
    storage: Storage,
    forgetting: Forgetting,
    path: str,
    versions: Mapping[str, str],
    now: str,
    rerank: Rerank,
) -> AddAction | None:
    """Write a partition of `scores` without the examples, and its manifest."""
    left = _left(storage, forgetting, "scores", path, SCORES)
    if not len(left):
        return None
    before = read_either(storage, manifest_path(path), Manifest)
    version = versions.get(before.dataset_version, before.dataset_version)
    after = replace(
        before,
        key=digest(["forgotten", before.key, version, forgetting.ids.tolist()]),
        planned_at=now,
        dataset_version=version,
        rows=len(left),
    )
    new, batches = after.new_data_path(), rerank(after.partition.metric, left, version)
    add = write_file(
        storage, "scores", new, checked(after, batches), SCORES, after.partition._asdict()
    )
    write_twice(storage, manifest_path(new), after)
    return add


def _without(
    storage: Storage, forgetting: Forgetting, table: WholeTable, path: str
) -> AddAction | None:
    """Write a partition of another table without the examples."""
    left = _left(storage, forgetting, table.name, path, table.data)
    if not len(left):
        return None
    if strikes := forgetting.strikes(left):
        commands = [strikes.get(c, c) for c in left[COMMAND].to_pylist()]
        left = _with(left, COMMAND, pa.array(commands, pa.string()))
    if table.ranked_within:
        left = _with(left, "rank", _ranks(left, table.ranked_within))
    partition = partition_of(path)
    new = table.new_data_path(partition)
    return write_file(storage, table.name, new, left.to_batches(), table.data, partition)


def _left(
    storage: Storage, forgetting: Forgetting, table: str, path: str, schema: pa.Schema
) -> pa.Table:
    """Read a data file without the examples."""
    rows = read_parquet(storage, table_path(table, path), without_added(schema))
    rows = completed(rows, schema)
    columns = forgetting.columns(table, partition_of(path))
    return rows.filter(pa.array(~forgetting.hits(rows, columns)))


def _ranks(rows: pa.Table, within: Sequence[str]) -> pa.Array:
    """Count ranks from 0 again; [N] rows of one group stand together, in order of rank."""
    starts = np.ones(len(rows), dtype=np.bool_)
    same = np.ones(len(rows) - 1, dtype=np.bool_)
    for column in within:
        values = rows[column].to_numpy()
        same &= values[1:] == values[:-1]
    starts[1:] = ~same
    first = np.flatnonzero(starts)
    ranks = np.arange(len(rows)) - np.repeat(first, np.diff(first, append=len(rows)))
    return pa.array(ranks)


def _replace(storage: Storage, name: str, new: Mapping[str, AddAction | None]) -> int:
    """Replace data files in one commit; one that another job has replaced meanwhile is left."""

    def prepare(table: DeltaTable) -> Change | None:
        old = [file for file in files(table) if file["path"] in new]
        adds = [add for file in old if (add := new[file["path"]])]
        return Change(adds=adds, removes=[removal(file) for file in old]) if old else None

    ensure_table(storage, name, _AS_READ[name])
    version = commit(storage, name, prepare)
    assert version is not None
    return version


def _with(rows: pa.Table, column: str, values: pa.Array) -> pa.Table:
    at = rows.schema.get_field_index(column)
    return rows.set_column(at, rows.schema.field(at), values.cast(rows.schema.field(at).type))
