"""The tables of a store as SQL that reads them."""

from collections.abc import Callable, Mapping
from functools import partial

from deltalake import DeltaTable

from scoring.store.storage import Storage
from scoring.tables import sql
from scoring.tables.delta import files, table_uri
from scoring.tables.history import reading_log
from scoring.tables.schemas import NIGHTS, PARTITION_COLUMNS, RUNS, SCORES_TABLE
from scoring.tables.whole_partitions import WHOLE_TABLES, reading_table


def views(
    storage: Storage, scores: DeltaTable, version: int | None
) -> dict[str, Callable[[], str]]:
    """Every table by name.

    Args:
        storage: the store.
        scores: an open version of `scores`.
        version: its number, to which `nights` and `runs` are limited; None: not limited.
    """
    return {
        "scores": lambda: reading_scores(storage, scores),
        "runs": lambda: reading_runs(storage, version),
        "nights": lambda: reading_nights(storage, version),
        **{table.name: partial(reading_table, storage, table) for table in WHOLE_TABLES},
    }


def reading_scores(
    storage: Storage, table: DeltaTable, only: Mapping[str, str] | None = None
) -> str:
    """SQL over an open version of `scores`, or over the partitions given."""
    wanted = {f"partition.{column}": value for column, value in (only or {}).items()}
    uris = [
        f"{table_uri(storage, 'scores')}/{file['path']}"
        for file in files(table)
        if wanted.items() <= file.items()
    ]
    return sql.reading(uris, SCORES_TABLE, PARTITION_COLUMNS)


def reading_nights(storage: Storage, version: int | None = None) -> str:
    """SQL over `nights`, or over those that a version of `scores` knows."""
    nights = reading_log(storage, "nights", NIGHTS)
    if version is None:
        return nights
    return f"select * from ({nights}) where commit_version <= {version:d}"


def reading_runs(storage: Storage, version: int | None = None) -> str:
    """SQL over `runs`, or over those of the nights that a version of `scores` knows."""
    runs = reading_log(storage, "runs", RUNS)
    if version is None:
        return runs
    nights = reading_nights(storage, version)
    return f"select * from ({runs}) where night_id in (select night_id from ({nights}))"
