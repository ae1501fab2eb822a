"""The tables as they were at a version or a time."""

from datetime import UTC, date, datetime

import pyarrow as pa
from deltalake import DeltaTable

from scoring.data.forgotten import certificates
from scoring.errors import BadStore, DroppedVersion, UserError
from scoring.store.layout import table_path
from scoring.store.storage import Storage
from scoring.tables import sql
from scoring.tables.delta import files, lacking, open_table
from scoring.tables.log_check import COMMITTED_MS
from scoring.tables.log_entries import Action, commit_info, log_entries
from scoring.tables.schemas import NIGHTS

At = int | str | datetime | None
"""A version of `scores`; a date, meaning after that day's last night; a time (ISO 8601, in UTC
unless it has a zone); or None for now."""

HISTORY = pa.schema(
    {
        "version": pa.int64(),
        "committed_at": pa.timestamp("us", tz="UTC"),
        "night_id": pa.string(),  # null for commits that published nothing
    }
)


def open_scores(storage: Storage, at: At = None, flag: str = "--at") -> DeltaTable:
    """Open `scores` as it is now, or as it was.

    Args:
        storage: the store.
        at: when.
        flag: the flag that says when, for the error message.

    Raises:
        BadStore: nothing is published, or the store cannot be read.
        DroppedVersion: examples in it were forgotten.
        UserError: there is no such version or time.
    """
    table = open_table(storage, "scores")
    if table is None or (at is None and not files(table)):
        raise BadStore(
            f"--store: expected a store with published scores, got none at {storage.uri}; "
            "run protoscore rescore first"
        )
    if at is None:
        return table
    try:
        version = _version(storage, table, at)
    except UserError as error:
        raise UserError(f"{flag}: {error}") from None
    older = open_table(storage, "scores", version)
    if older is None:
        raise UserError(f"{flag}: expected a version that is kept, got {version}")
    _refuse_forgotten(storage, older, flag)
    return older


def _refuse_forgotten(storage: Storage, older: DeltaTable, flag: str) -> None:
    """Refuse a version whose data files were removed because examples in them were forgotten."""
    shown = {file["path"] for file in files(older)}
    for certificate in certificates(storage):
        if shown & {*certificate.data_files.get("scores", ())}:
            raise DroppedVersion(
                f"{flag}: expected a version from after {certificate.day}, when examples were "
                f"forgotten and versions with them dropped, got {older.version()}"
            )


def history(storage: Storage) -> pa.Table:
    """List the commits of `scores` that are kept, newest first (columns `HISTORY`)."""
    infos = {v: commit_info(entry) for v, entry in log_entries(storage, "scores").items()}
    rows = [
        {
            "version": version,
            "committed_at": _committed_at(info),
            "night_id": info.get("night_id"),
        }
        for version, info in reversed(infos.items())
    ]
    return pa.Table.from_pylist(rows, schema=HISTORY)


def log_sql(storage: Storage, name: str, schema: pa.Schema) -> str:
    """Return SQL that reads `nights` or `runs`."""
    table = open_table(storage, name)
    found = [] if table is None else files(table)
    paths = {table_path(name, file["path"]): lacking(file, schema) for file in found}
    return sql.files_sql([*paths], schema, lacking=paths)


def _version(storage: Storage, table: DeltaTable, at: int | str | datetime) -> int:
    newest = table.version()
    if isinstance(at, str) and (day := _day(at)):
        return _version_of_day(storage, day)
    if isinstance(at, str):
        at = _parse(at, newest)
    if isinstance(at, int):
        if not 0 <= at <= newest:
            raise UserError(f"expected a version from 0 to {newest}, got {at}")
        return at
    moment = at if at.tzinfo else at.replace(tzinfo=UTC)
    # Use the times in the log: a copy of the store has new file times.
    commits = history(storage).to_pylist()
    for commit in commits:
        if commit["committed_at"] <= moment:
            return int(commit["version"])
    first = commits[-1]["committed_at"].isoformat(timespec="seconds")
    raise UserError(f"expected a time from {first} on, got {moment.isoformat()}")


def _version_of_day(storage: Storage, day: date) -> int:
    """Return the version after the last night of that day or of an earlier one."""
    query = f"""
        select min(date)::varchar as first, max(commit_version) filter (date <= '{day}') as version
        from nights
    """
    views = {"nights": lambda: log_sql(storage, "nights", NIGHTS)}
    (found,) = sql.run(storage, query, views).to_pylist()
    if found["version"] is None:
        first = found["first"] or "the first night"
        raise UserError(f"expected a date from {first} on, got {day}")
    return int(found["version"])


def _day(at: str) -> date | None:
    try:
        return date.fromisoformat(at)
    except ValueError:
        return None


def _parse(at: str, newest: int) -> int | datetime:
    try:
        return int(at) if at.isdecimal() else datetime.fromisoformat(at)
    except ValueError as error:
        raise UserError(
            f"expected a version from 0 to {newest}, a date like 2026-03-31 or a time like "
            f"2026-03-31T06:00, got {at!r}"
        ) from error


def _committed_at(info: Action) -> datetime:
    at = info[COMMITTED_MS] if COMMITTED_MS in info else info["timestamp"]
    return datetime.fromtimestamp(int(at) / 1000, UTC)
