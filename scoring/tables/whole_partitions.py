"""Tables whose partitions are always replaced as a whole."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa
from deltalake import DeltaTable

from scoring.store.layout import partition_folder, stem, table_path
from scoring.store.storage import Storage
from scoring.tables.commit import Change, commit, removal, write_file
from scoring.tables.delta import ensure_table, files, lacking, open_table
from scoring.tables.schemas import (
    EVALUATION_COLUMNS,
    EVALUATIONS,
    EXAMPLE_SET_COLUMNS,
    EXAMPLE_SETS,
    ISSUE_COLUMNS,
    ISSUES,
    PROBABILITIES,
    PROBABILITY_COLUMNS,
    REPRESENTER_COLUMNS,
    REPRESENTER_MODEL_COLUMNS,
    REPRESENTER_MODELS,
    REPRESENTERS,
    VERDICT_COLUMNS,
    VERDICTS,
    ExampleColumn,
    with_partition_columns,
)
from scoring.tables.sql import files_sql


@dataclass(frozen=True, kw_only=True)
class WholeTable:
    """A table whose partitions are replaced as a whole."""

    name: str
    partition_columns: tuple[str, ...]
    data: pa.Schema
    """Schema of its data files."""
    examples: tuple[ExampleColumn, ...]
    """Its columns that hold example ids, for `forget`."""
    ranked_within: tuple[str, ...] = ()
    """The columns within which `rank` counts from 0."""

    @property
    def schema(self) -> pa.Schema:
        """Schema as readers see it, partition columns first."""
        return with_partition_columns(self.partition_columns, self.data)

    def new_data_path(self, partition: Mapping[str, str], key: str = "") -> str:
        """Return a path that no other data file has; its name begins with the key, if any."""
        folder = partition_folder({c: partition[c] for c in self.partition_columns})
        unique = uuid.uuid4().hex
        return f"{folder}/{f'{key}-{unique[:8]}' if key else unique}.parquet"


EVALUATIONS_TABLE = WholeTable(
    name="evaluations",
    partition_columns=EVALUATION_COLUMNS,
    data=EVALUATIONS,
    examples=(),  # findings are about metrics, classes and parts of rankings
)
PROBABILITIES_TABLE = WholeTable(
    name="probabilities",
    partition_columns=PROBABILITY_COLUMNS,
    data=PROBABILITIES,
    examples=(ExampleColumn("example_id"),),
)
ISSUES_TABLE = WholeTable(
    name="issues",
    partition_columns=ISSUE_COLUMNS,
    data=ISSUES,
    examples=(ExampleColumn("example_id"),),
    ranked_within=("dataset_version",),  # one in each partition
)
VERDICTS_TABLE = WholeTable(
    name="verdicts",
    partition_columns=VERDICT_COLUMNS,
    data=VERDICTS,
    examples=(ExampleColumn("example_id"),),
)
EXAMPLE_SETS_TABLE = WholeTable(
    name="example_sets",
    partition_columns=EXAMPLE_SET_COLUMNS,
    data=EXAMPLE_SETS,
    examples=(ExampleColumn("example_id"),),
)
REPRESENTERS_TABLE = WholeTable(
    name="representers",
    partition_columns=REPRESENTER_COLUMNS,
    data=REPRESENTERS,
    examples=(ExampleColumn("test_id"), ExampleColumn("train_id", split="train")),
    ranked_within=("test_id", "class", "sign"),
)
REPRESENTER_MODELS_TABLE = WholeTable(
    name="representer_models",
    partition_columns=REPRESENTER_MODEL_COLUMNS,
    data=REPRESENTER_MODELS,
    examples=(),
)
WHOLE_TABLES = (
    EVALUATIONS_TABLE,
    PROBABILITIES_TABLE,
    ISSUES_TABLE,
    VERDICTS_TABLE,
    EXAMPLE_SETS_TABLE,
    REPRESENTERS_TABLE,
    REPRESENTER_MODELS_TABLE,
)


def replace_partition(
    storage: Storage,
    table: WholeTable,
    partition: Mapping[str, str],
    rows: Iterable[pa.RecordBatch],
    key: str = "",
) -> int:
    """Replace a partition in one commit.

    Args:
        storage: the store.
        table: the table.
        partition: a value for each of its partition columns.
        rows: batches with schema `table.data`, consumed one at a time.
        key: hash of what the rows are made of, if `keys_of` is to find it; it names the data file.

    Returns:
        The new version of the table.
    """
    ensure_table(storage, table.name, table.schema, table.partition_columns)
    path = table.new_data_path(partition, key)
    file = write_file(storage, table.name, path, rows, table.data, partition)

    def prepare(current: DeltaTable) -> Change:
        return Change(adds=[file], removes=[removal(old) for old in files(current, partition)])

    version = commit(storage, table.name, prepare)
    assert version is not None
    return version


def keys_of(
    storage: Storage, table: WholeTable, partition: Mapping[str, str]
) -> dict[tuple[str, ...], str]:
    """Return what some partitions are made of, as `replace_partition` was told.

    Args:
        storage: the store.
        table: the table.
        partition: values for some of its partition columns.

    Returns:
        Values of all partition columns to the key.
    """
    current = open_table(storage, table.name)
    keys = {}
    for file in files(current, partition) if current else []:
        values = tuple(file[f"partition.{name}"] for name in table.partition_columns)
        keys[values] = stem(file["path"]).partition("-")[0]
    return keys


def table_sql(
    storage: Storage, table: WholeTable, partition: Mapping[str, str] | None = None
) -> str:
    """Return SQL over a table as it is now, or over some of its partitions."""
    current = open_table(storage, table.name)
    found = files(current, partition) if current else []
    paths = {table_path(table.name, f["path"]): lacking(f, table.schema) for f in found}
    return files_sql([*paths], table.schema, table.partition_columns, paths)
