"""SQL that reads the tables of a store."""

from collections.abc import Callable, Mapping
from functools import partial

from deltalake import DeltaTable

from scoring.store.layout import table_path
from scoring.store.storage import Storage
from scoring.tables import sql
from scoring.tables.delta import files
from scoring.tables.history import log_sql
from scoring.tables.schemas import NIGHTS, PARTITION_COLUMNS, RUNS, SCORES_TABLE
from scoring.tables.whole_partitions import WHOLE_TABLES, table_sql


def views(
    storage: Storage, scores: DeltaTable, version: int | None
) -> dict[str, Callable[[], str]]:
    """Return the name of each table to a function that returns its SQL.

    Args:
        storage: the store.
        scores: an open version of `scores`.
        version: limit `nights` and `runs` to nights up to this version of `scores`; None: no limit.
    """
    return {
        "scores": lambda: scores_sql(storage, scores),
        "runs": lambda: runs_sql(storage, version),
        "nights": lambda: nights_sql(storage, version),
        **{table.name: partial(table_sql, storage, table) for table in WHOLE_TABLES},
    }


def scores_sql(storage: Storage, table: DeltaTable, only: Mapping[str, str] | None = None) -> str:
    """Return SQL over an open version of `scores`, or over some of its partitions.

    Args:
        storage: the store.
        table: an open version of `scores`.
        only: partition column to the value that partitions must have; None: all partitions.
    """
    paths = [table_path("scores", file["path"]) for file in files(table, only)]
    return sql.files_sql(paths, SCORES_TABLE, PARTITION_COLUMNS)


def nights_sql(storage: Storage, version: int | None = None) -> str:
    """Return SQL over `nights`, or over the nights up to a version of `scores`."""
    nights = log_sql(storage, "nights", NIGHTS)
    if version is None:
        return nights
    return f"select * from ({nights}) where commit_version <= {version:d}"


def runs_sql(storage: Storage, version: int | None = None) -> str:
    """Return SQL over `runs`, or over the runs of nights up to a version of `scores`."""
    runs = log_sql(storage, "runs", RUNS)
    if version is None:
        return runs
    nights = nights_sql(storage, version)
    return f"select * from ({runs}) where night_id in (select night_id from ({nights}))"
