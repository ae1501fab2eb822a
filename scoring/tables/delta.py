"""Delta tables of a store: opening them, creating them, and what their logs know."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Schema
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import create_table_with_add_actions

from scoring.errors import BadStore, Outage, ProtoscoreError
from scoring.store.file_kinds import is_ours
from scoring.store.filesystems import delta_options
from scoring.store.layout import log_folder, table_path
from scoring.store.outages import http_status, known
from scoring.store.storage import Storage
from scoring.tables.log_check import (
    check_entries,
    copy_entry,
    hashed_creation,
    restore_changed,
)
from scoring.tables.log_entries import log_entries
from scoring.tables.schemas import ADDED
from scoring.tables.tries import TRIES, never_alone, pause

RETENTION = {
    "delta.logRetentionDuration": "interval 365 days",
    "delta.deletedFileRetentionDuration": "interval 365 days",
}
"""Keeps "what did we say in March" answerable, even after a vacuum."""
HOOKS = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
"""Nothing checks a checkpoint of delta-rs, so every entry is read instead."""
_PARTITION = "partition."


def table_uri(storage: Storage, name: str) -> str:
    """Return the URI of a table of the store."""
    return f"{storage.uri}/{table_path(name)}"


def open_table(storage: Storage, name: str, version: int | None = None) -> DeltaTable | None:
    """Open a table at its newest or a given version; None if there is none.

    Raises:
        BadStore: the store cannot be read.
        Damaged: the table's log is not what was committed.
        Outage: it does not answer.
    """
    try:
        check_entries(storage, name)
    except OSError as error:
        raise unusable(storage, error) from error
    try:
        return _open(storage, name, version)
    except TableNotFoundError:
        return None
    except (DeltaError, OSError) as error:
        if restore_changed(storage, name):
            return _open(storage, name, version)
        raise unusable(storage, error) from error


def _open(storage: Storage, name: str, version: int | None) -> DeltaTable:
    options = delta_options(storage.uri)
    return DeltaTable(table_uri(storage, name), version=version, storage_options=options)


def unusable(storage: Storage, error: Exception) -> ProtoscoreError:
    """Turn a driver's error into one line.

    Drivers quote requests and signatures, so only the HTTP status is repeated.
    """
    if outage := known(error):
        return Outage(f"--store {storage.uri}: {outage}")
    reason = http_status(error)
    return BadStore(f"--store: expected a readable store, got {storage.uri!r} ({reason})")


def ensure_table(
    storage: Storage, name: str, schema: pa.Schema, partition_by: Sequence[str] = ()
) -> DeltaTable:
    """Open a table; create it empty if there is none, or give it the columns that it lacks.

    Two jobs may do so at once.
    """
    table = open_table(storage, name)
    if table is None:
        uri, columns = table_uri(storage, name), Schema.from_arrow(schema)
        if "://" not in uri:
            Path(uri).mkdir(parents=True, exist_ok=True)
        try:
            create_table_with_add_actions(
                uri,
                columns,
                [],
                mode="ignore",
                partition_by=list(partition_by),
                configuration=RETENTION,
                storage_options=delta_options(uri),
                # With retries, the second job would commit its creation on top of the first.
                commit_properties=CommitProperties(
                    custom_metadata=hashed_creation(columns, partition_by, RETENTION),
                    max_commit_retries=0,
                ),
                post_commithook_properties=HOOKS,
            )
            copy_entry(storage, name, 0)
        except (DeltaError, OSError) as error:
            if open_table(storage, name) is None:
                raise unusable(storage, error) from error
        table = open_table(storage, name)
    assert table is not None
    return _with_columns(storage, name, table, schema)


def _with_columns(
    storage: Storage, name: str, table: DeltaTable, schema: pa.Schema, tries: int = TRIES
) -> DeltaTable:
    """Give a table of an earlier protoscore the columns that it lacks, null in its data files."""
    for attempt in range(tries):
        there = {field.name for field in table.schema().fields}
        new = [f for f in Schema.from_arrow(schema).fields if f.name not in there]
        if not new:
            return table
        all_columns = Schema([*table.schema().fields, *new])
        described = table.metadata()
        try:
            table.alter.add_columns(
                new,
                commit_properties=CommitProperties(
                    custom_metadata=hashed_creation(
                        all_columns, described.partition_columns, described.configuration
                    ),
                    max_commit_retries=0,
                ),
                post_commithook_properties=HOOKS,
            )
            copy_entry(storage, name, table.version())
        except CommitFailedError:
            pause(attempt)
        except (DeltaError, OSError) as error:
            raise unusable(storage, error) from error
        opened = open_table(storage, name)
        assert opened is not None
        table = opened
    raise never_alone(name, tries)


def files(table: DeltaTable, only: Mapping[str, str] | None = None) -> list[dict[str, str]]:
    """List the data files of the open version: path, size_bytes, partition.<column>.

    And null_count.<column> for the columns that were added later, None in a file without them.

    Args:
        table: an open version.
        only: partition column to the value that partitions must have; None: all partitions.
    """
    # Not pa.table(...), which imports pandas (a second) to see whether this is a data frame.
    actions = pa.RecordBatchReader.from_stream(table.get_add_actions(flatten=True)).read_all()
    counts = {f"null_count.{column}" for column in ADDED}
    keep = [c for c in actions.column_names if c.startswith(_PARTITION) or c in counts]
    rows = actions.select(["path", "size_bytes", *keep]).to_pylist()
    wanted = {f"{_PARTITION}{column}": value for column, value in (only or {}).items()}
    # The log holds percent-encoded paths; delta-rs encodes those of new actions itself.
    return [{**row, "path": unquote(row["path"])} for row in rows if wanted.items() <= row.items()]


def values_of(file: Mapping[str, str]) -> dict[str, str]:
    """Return the partition columns of one of `files`, and their values."""
    named = {column: value for column, value in file.items() if column.startswith(_PARTITION)}
    return {column.removeprefix(_PARTITION): value for column, value in named.items()}


def lacking(file: Mapping[str, str], schema: pa.Schema) -> tuple[str, ...]:
    """Return the columns of a schema that one of `files` lacks, as they were added later."""
    return tuple(c for c in schema.names if c in ADDED and file.get(f"null_count.{c}") is None)


def check_log(storage: Storage, name: str, *, expected: bool) -> None:
    """Refuse a table whose log is missing, or lacks an entry.

    Args:
        storage: the store.
        name: the table.
        expected: whether there must be a log at all.

    Raises:
        BadStore: it is missing or has a gap.
    """
    names = {path.removesuffix(".json") for path in storage.names(log_folder(name))}
    versions = sorted(int(name) for name in names if name.isdecimal())
    gaps = [v for v in range(len(versions)) if versions[v] != versions[0] + v]
    missing = versions[gaps[0] - 1] + 1 if gaps else 0
    if gaps or (expected and not versions):
        raise BadStore(
            f"--store: expected the whole of {log_folder(name)}, got no entry {missing}; "
            "restore it from a backup"
        )


def kept_files(storage: Storage, name: str) -> set[str]:
    """Return the paths, in the table, of all data files of the versions that are still kept."""
    table = open_table(storage, name)
    if table is None:
        return set()
    actions = [action for entry in log_entries(storage, name).values() for action in entry]
    # A removed file belongs to the version before its removal.
    named = [a[kind]["path"] for a in actions for kind in ("add", "remove") if kind in a]
    return {file["path"] for file in files(table)} | {unquote(path) for path in named}


def expire(storage: Storage, name: str, *, dry_run: bool) -> list[str]:
    """Delete the data files of versions beyond the table's retention; return their paths."""
    table = open_table(storage, name)
    found = [] if table is None else table.vacuum(dry_run=True)  # anything that the log lacks
    expired = [path for file in found if is_ours(path := table_path(name, unquote(file)))]
    if not dry_run:
        storage.remove(expired)
    return expired
