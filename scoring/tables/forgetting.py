"""Which data files of the tables name forgotten examples.

A table takes part by declaring which of its columns hold example ids (`ExampleColumn`). Command
lines may name examples too.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from scoring.arrays import Bools, Ints
from scoring.errors import Damaged
from scoring.store.file_kinds import partition_of
from scoring.store.keys import Split
from scoring.store.layout import table_path
from scoring.store.parquet import opened_parquet
from scoring.store.storage import Storage
from scoring.tables.delta import files, open_table
from scoring.tables.manifest import Manifest, Partition
from scoring.tables.schemas import DATA_SCHEMAS, SCORES_EXAMPLES
from scoring.tables.whole_partitions import WHOLE_TABLES

COMMAND = "command"
"""Name of the columns that hold command lines."""
_EXAMPLES = {"scores": SCORES_EXAMPLES, **{table.name: table.examples for table in WHOLE_TABLES}}
_ID_FLAGS = {"--ids", "--example"}
_STRUCK = "forgotten"  # stands in commands for ids and names


@dataclass(frozen=True, kw_only=True)
class Forgetting:
    """The examples to forget, as tables know them."""

    datasets: frozenset[str]
    """The dataset's name, and the names under which its scores are published."""
    split: Split
    ids: Ints
    """[K], ascending."""
    names: frozenset[str]

    def columns(self, table: str, partition: Mapping[str, str]) -> list[str]:
        """Return the columns of a partition that may name the examples."""
        if partition.get("dataset") not in self.datasets:
            return []
        ids = [c.name for c in _EXAMPLES[table] if (c.split or partition["split"]) == self.split]
        return [*ids, COMMAND] if COMMAND in DATA_SCHEMAS[table].names else ids

    def hits(self, rows: pa.Table, columns: Sequence[str]) -> Bools:
        """[N]: whether each row is about one of the examples; [N] rows of a partition."""
        found = np.zeros(len(rows), dtype=np.bool_)
        for column in columns:
            if column != COMMAND:
                found |= np.isin(rows[column].to_numpy(), self.ids)
        return found

    def strikes(self, rows: pa.Table) -> dict[str, str]:
        """Return the commands of some rows that name the examples, and what to put instead."""
        if COMMAND not in rows.column_names:
            return {}
        commands = rows[COMMAND].unique().to_pylist()
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
        return partition_of(self.path)


def published_as(manifests: Mapping[Partition, Manifest], dataset: str) -> frozenset[str]:
    """Return the names that scores of a dataset are published under, and its own."""
    found = {p.dataset for p, m in manifests.items() if m.settings.get("dataset") == dataset}
    return frozenset({dataset, *found})


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
        for stored in storage.ours(table_path(table)):
            path = stored.removeprefix(folder)
            if named := _names(storage, table, path, forgetting, path in current):
                found.append(named)
    return found


def _names(
    storage: Storage, table: str, path: str, forgetting: Forgetting, current: bool
) -> TableFile | None:
    """Return a data file if it names the examples; a damaged one of earlier versions does not."""
    columns = forgetting.columns(table, partition_of(path))
    if not columns:
        return None
    try:
        wanted = pa.schema([DATA_SCHEMAS[table].field(column) for column in columns])
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
