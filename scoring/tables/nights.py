"""The tables `nights` and `runs`: a row for each published night and for each run it used."""

import uuid
from collections.abc import Iterable, Mapping
from urllib.parse import quote, unquote

import pyarrow as pa
from deltalake import DeltaTable

from scoring.store.storage import Storage
from scoring.tables.commit import Change, commit, write_file
from scoring.tables.delta import ensure_table, files, open_table
from scoring.tables.log_entries import commit_info, log_entries
from scoring.tables.schemas import ADDED, NIGHTS, RUNS

Row = Mapping[str, object]


class BadRows(ValueError):
    """Rows that are none of `nights` or `runs`."""


def append_night(storage: Storage, night: Row, runs: Iterable[Row]) -> None:
    """Record a night and its runs; calling it again changes nothing.

    Args:
        storage: the store.
        night: a value for each column of `NIGHTS`; a `commit_version` of None is looked up.
        runs: for each run, a value for each column of `RUNS`.

    Raises:
        BadRows: a column is missing or unknown, or a value does not fit; nothing is recorded.
    """
    night_id = str(night.get("night_id"))
    if night.get("commit_version") is None:
        night = {**night, "commit_version": _versions_of_nights(storage).get(night_id)}
    # Write the night last, so that wherever its row is, its runs are too.
    tables = {"runs": _to_table("runs", RUNS, runs), "nights": _to_table("nights", NIGHTS, [night])}
    for name, rows in tables.items():
        _append_once(storage, name, rows, night_id)


def committed_nights(storage: Storage) -> set[str]:
    """Return the nights that have published scores."""
    return set(_versions_of_nights(storage))


def recorded_nights(storage: Storage) -> set[str]:
    """Return the nights that have rows in both tables."""
    tables = [open_table(storage, name) for name in ("nights", "runs")]
    nights, with_runs = (_nights_of(table) if table else set() for table in tables)
    return nights & with_runs


def _nights_of(table: DeltaTable) -> set[str]:
    """Return the nights with rows in a table; each has a file, named after it."""
    return {unquote(file["path"].rpartition("-")[0]) for file in files(table)}


def _versions_of_nights(storage: Storage) -> dict[str, int]:
    infos = {v: commit_info(entry) for v, entry in log_entries(storage, "scores").items()}
    return {info["night_id"]: version for version, info in infos.items() if info.get("night_id")}


def _to_table(name: str, schema: pa.Schema, rows: Iterable[Row]) -> pa.Table:
    later = dict.fromkeys(column for column in schema.names if column in ADDED)
    found = [{**later, **row} for row in rows]  # a record may be of an earlier protoscore
    for row in found:
        if odd := set(schema.names) ^ set(row):
            raise BadRows(f"{name}: expected columns {schema.names}, got odd {sorted(odd)}")
    try:
        return pa.Table.from_pylist(found, schema=schema)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise BadRows(f"{name}: {error}") from error


def _append_once(storage: Storage, name: str, rows: pa.Table, night_id: str) -> None:
    if not len(rows) or night_id in _nights_of(ensure_table(storage, name, rows.schema)):
        return
    path = f"{quote(night_id, safe='')}-{uuid.uuid4().hex[:8]}.parquet"
    change = Change(
        adds=[write_file(storage, name, path, rows.to_batches(), rows.schema, {})],
        metadata={"night_id": night_id},
    )
    commit(storage, name, lambda now: None if night_id in _nights_of(now) else change)
