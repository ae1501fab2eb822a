"""Rows of forgotten examples leave the tables: data files are written again without them.

A table takes part by declaring which of its columns hold example ids (`ExampleColumn`). Each table
changes in one commit; a second time there is nothing left to change. Data files that held the
examples stay on disk, for earlier versions, until they are removed.
"""

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote
from uuid import uuid4

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.transaction import AddAction

from scoring.arrays import Bools, Ints
from scoring.errors import Damaged
from scoring.store.keys import Split, digest
from scoring.store.layout import is_log, is_ours, manifest_path, table_path
from scoring.store.parquet import opened_parquet, read_parquet
from scoring.store.records import read_either, write_twice
from scoring.store.storage import Storage
from scoring.tables.delta import Change, commit, files, open_table, removal, write_file
from scoring.tables.manifest import Manifest, Partition
from scoring.tables.schemas import SCORES, SCORES_EXAMPLES
from scoring.tables.score_rows import checked
from scoring.tables.whole_partitions import WHOLE_TABLES, WholeTable

_EXAMPLES = {"scores": SCORES_EXAMPLES, **{table.name: table.examples for table in WHOLE_TABLES}}
_SCHEMAS = {"scores": SCORES, **{table.name: table.data for table in WHOLE_TABLES}}
_COMMAND = "command"
_ID_FLAGS = {"--ids", "--example"}
_STRUCK = "forgotten"  # stands in commands for ids and names

Values = Mapping[str, str]
"""Partition column to value."""
Rerank = Callable[[str, pa.Table, str], Iterator[pa.RecordBatch]]
"""Ranks what is left of a partition of `scores`: takes metric, rows and their dataset version."""


@dataclass(frozen=True, kw_only=True)
class Forgetting:
    """The examples to forget, as tables know them."""

    datasets: frozenset[str]
    """The dataset's name, and the names under which its scores are published."""
    split: Split
    ids: Ints
    """[K], ascending."""
    names: frozenset[str]

    def columns(self, table: str, partition: Values) -> list[str]:
        """Return the columns of a partition that may name the examples."""
        if partition.get("dataset") not in self.datasets:
            return []
        ids = [c.name for c in _EXAMPLES[table] if (c.split or partition["split"]) == self.split]
        return [*ids, _COMMAND] if _COMMAND in _SCHEMAS[table].names else ids

    def hits(self, rows: pa.Table, columns: Sequence[str]) -> Bools:
        """[N]: whether each row is about one of the examples; [N] rows of a partition."""
        found = np.zeros(len(rows), dtype=np.bool_)
        for column in columns:
            if column != _COMMAND:
                found |= np.isin(rows[column].to_numpy(), self.ids)
        return found

    def strikes(self, rows: pa.Table) -> dict[str, str]:
        """Return the commands of some rows that name the examples, and what to put instead."""
        if _COMMAND not in rows.column_names:
            return {}
        commands = rows[_COMMAND].unique().to_pylist()
        return {c: struck for c in commands if (struck := self.strike(c)) != c}

    def strike(self, command: str) -> str:
        """Replace the ids and names of the examples in a command line."""
        try:
            words = shlex.split(command)
        except ValueError:
            return command
        ids = {str(i) for i in self.ids.tolist()} if _ID_FLAGS & {*words} else set()
        struck = [_STRUCK if word in self.names or word in ids else word for word in words]
        return command if struck == words else " ".join(map(shlex.quote, struck))


@dataclass(frozen=True, kw_only=True)
class TableFile:
    """A data file that names forgotten examples."""

    table: str
    path: str
    """In the table."""
    rows: int
    """Rows about them; 0 if only a command names them."""
    current: bool
    """Whether the newest version shows it."""

    @property
    def partition(self) -> dict[str, str]:
        """A value for each partition column."""
        return _values(self.path)


def files_with(storage: Storage, forgetting: Forgetting) -> list[TableFile]:
    """List the data files that name the examples: current ones, earlier ones, uncommitted ones.

    Raises:
        Damaged: a current one is damaged.
    """
    found = []
    for table in _EXAMPLES:
        opened = open_table(storage, table)
        current = {file["path"] for file in files(opened)} if opened else set()
        folder = f"{table_path(table)}/"
        for file in storage.walk(table_path(table)):
            path = file.path.removeprefix(folder)
            if file.is_unfinished or is_log(file.path) or not is_ours(file.path):
                continue
            if named := _names(storage, table, path, forgetting, path in current):
                found.append(named)
    return found


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


def _names(
    storage: Storage, table: str, path: str, forgetting: Forgetting, current: bool
) -> TableFile | None:
    """Return a data file if it names the examples; a damaged one counts, unless it is current."""
    columns = forgetting.columns(table, _values(path))
    if not columns:
        return None
    try:
        wanted = pa.schema([_SCHEMAS[table].field(column) for column in columns])
        with opened_parquet(storage, table_path(table, path), wanted) as file:
            rows = file.read(columns)
    except Damaged:
        if current:
            raise
        return None  # set aside, and removed from there
    hits = int(forgetting.hits(rows, columns).sum())
    if not hits and not forgetting.strikes(rows):
        return None
    return TableFile(table=table, path=path, rows=hits, current=current)


def _without_scores(
    storage: Storage,
    forgetting: Forgetting,
    path: str,
    versions: Mapping[str, str],
    now: str,
    rerank: Rerank,
) -> AddAction | None:
    """Write a partition of `scores` without the examples, and its manifest."""
    rows = read_parquet(storage, table_path("scores", path), SCORES).cast(SCORES)
    columns = forgetting.columns("scores", _values(path))
    left = rows.filter(pa.array(~forgetting.hits(rows, columns)))
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
    rows = read_parquet(storage, table_path(table.name, path), table.data).cast(table.data)
    columns = forgetting.columns(table.name, _values(path))
    left = rows.filter(pa.array(~forgetting.hits(rows, columns)))
    if not len(left):
        return None
    if strikes := forgetting.strikes(left):
        commands = [strikes.get(c, c) for c in left[_COMMAND].to_pylist()]
        left = _with(left, _COMMAND, pa.array(commands, pa.string()))
    if table.ranked_within:
        left = _with(left, "rank", _ranks(left, table.ranked_within))
    partition = _values(path)
    folder = "/".join(f"{n}={quote(partition[n], safe='')}" for n in table.partition_columns)
    new = f"{folder}/{uuid4().hex}.parquet"
    return write_file(storage, table.name, new, left.to_batches(), table.data, partition)


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
    return pa.array(ranks.astype(np.int32))


def _replace(storage: Storage, name: str, new: Mapping[str, AddAction | None]) -> int:
    """Replace data files in one commit; one that another job has replaced meanwhile is left."""

    def prepare(table: DeltaTable) -> Change | None:
        old = [file for file in files(table) if file["path"] in new]
        adds = [add for file in old if (add := new[file["path"]])]
        return Change(adds=adds, removes=[removal(file) for file in old]) if old else None

    version = commit(storage, name, prepare)
    assert version is not None
    return version


def _with(rows: pa.Table, column: str, values: pa.Array) -> pa.Table:
    at = rows.schema.get_field_index(column)
    return rows.set_column(at, rows.schema.field(at), values)


def _values(path: str) -> dict[str, str]:
    """Read the partition's values from the path of a data file."""
    folders = (folder.partition("=") for folder in path.split("/")[:-1])
    return {name: unquote(value) for name, _, value in folders}


def published_as(manifests: Mapping[Partition, Manifest], dataset: str) -> frozenset[str]:
    """Return the names that scores of a dataset are published under, and its own."""
    found = {p.dataset for p, m in manifests.items() if m.settings.get("dataset") == dataset}
    return frozenset({dataset, *found})
