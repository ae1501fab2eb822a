"""Changing a Delta table: the files that a commit adds and removes, and one optimistic commit.

A commit is a single conditional PUT of the next log entry, so it happens entirely or not at all. It
is tried only on top of the version that was read. The retries of delta-rs are off, because its
conflict check is table-wide and lets two writers of a still empty partition both succeed; every
conflict comes back here, and `commit` prepares its change again.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, RemoveAction

from scoring.store.layout import table_path
from scoring.store.parquet import writing_parquet
from scoring.store.storage import Storage
from scoring.tables.delta import HOOKS, files, open_table, unusable, values_of
from scoring.tables.log_check import copy_entry, hashed
from scoring.tables.schemas import ADDED
from scoring.tables.tries import TRIES, never_alone, pause


@dataclass(frozen=True, kw_only=True)
class Change:
    """One commit: files to add, files to remove, and what the log records with them."""

    adds: Sequence[AddAction]
    removes: Sequence[RemoveAction] = ()
    transactions: Mapping[str, int] = field(default_factory=dict)
    """Application transactions: the name of a writer to its new version; none commits twice."""
    metadata: Mapping[str, str] = field(default_factory=dict)


def write_file(
    storage: Storage,
    name: str,
    path: str,
    groups: Iterable[pa.RecordBatch],
    schema: pa.Schema,
    partition: Mapping[str, str],
) -> AddAction:
    """Write a data file, a row group at a time; it stays invisible until a commit adds it."""
    nulls = {column: 0 for column in schema.names if column in ADDED}
    with writing_parquet(storage, table_path(name, path), schema) as writer:
        for group in groups:
            writer.write(group)
            for column in nulls:
                nulls[column] += group[column].null_count
    stats = json.dumps({"numRecords": writer.rows, **({"nullCount": nulls} if nulls else {})})
    return AddAction(path, writer.size, dict(partition), _now_ms(), True, stats)


def removal(file: Mapping[str, str]) -> RemoveAction:
    """Make the action that removes one of `files` from the table."""
    values: dict[str, str | None] = {**values_of(file)}
    size = int(file["size_bytes"])
    return RemoveAction(file["path"], True, _now_ms(), size=size, partition_values=values)


def commit(
    storage: Storage,
    name: str,
    prepare: Callable[[DeltaTable], Change | None],
    tries: int = TRIES,
) -> int | None:
    """Commit the change that `prepare` makes for the newest version.

    Whenever another job commits first, `prepare` is called again with the new version.

    Returns:
        The version committed; None if `prepare` returned None.

    Raises:
        IncompleteError: other jobs committed first every time.
        Outage: the store did not answer.
    """
    change: Change | None = None
    version = 0
    for attempt in range(tries):
        table = open_table(storage, name)
        assert table is not None
        if change is not None and _contains(table, change):
            return version  # the commit succeeded, only its response was lost
        change = prepare(table)
        version = table.version() + 1
        if change is None:
            return None
        try:
            _commit_once(table, change)
        except CommitFailedError:
            pause(attempt)
        except (DeltaError, OSError) as error:  # delta-rs has tried for as long as it may
            raise unusable(storage, error) from error
        else:
            copy_entry(storage, name, version)
            return version
    raise never_alone(name, tries)


def _commit_once(table: DeltaTable, change: Change) -> None:
    actions: list[AddAction | RemoveAction] = [*change.adds, *change.removes]
    table.create_write_transaction(
        actions,
        "append",
        table.schema(),
        table.metadata().partition_columns,
        commit_properties=CommitProperties(
            custom_metadata=hashed(change.metadata, actions, change.transactions),
            max_commit_retries=0,
            app_transactions=[Transaction(name, v) for name, v in change.transactions.items()],
        ),
        post_commithook_properties=HOOKS,
    )


def _contains(table: DeltaTable, change: Change) -> bool:
    return {add.path for add in change.adds} <= {file["path"] for file in files(table)}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
