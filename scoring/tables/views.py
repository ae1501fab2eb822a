"""The views of `protoscore query`: all that SQL can read.

A table of `WHOLE_TABLES` has its view already. Any other view, and one that adds to its table, is
declared in `views`, with its columns and their comments.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
from deltalake import DeltaTable

from scoring.declared import declared
from scoring.store.layout import table_path
from scoring.store.storage import Storage
from scoring.tables import sql
from scoring.tables.class_names import classes_sql, named_sql, read_names, with_names
from scoring.tables.delta import files, lacking
from scoring.tables.history import log_sql
from scoring.tables.schemas import (
    NIGHTS,
    PARTITION_COLUMNS,
    RUNS,
    SCORES_TABLE,
    commented,
    with_partition_columns,
)
from scoring.tables.values import values_sql
from scoring.tables.whole_partitions import ISSUES_TABLE, WHOLE_TABLES, table_sql

METRICS = commented(
    {
        "metric": (pa.string(), "its name, as in scores"),
        "purpose": (pa.string(), "label errors, hard, atypical, privacy or robustness"),
        "summary": (pa.string(), "what value is"),
        "unit": (pa.string(), "the unit of value"),
        "direction": (pa.string(), "the end of value that is prototypical: high or low"),
        "ranked_by": (pa.string(), "the column that rank follows: value or class_z"),
        "source": (pa.string(), "paper and section"),
        "version": (pa.int64(), "raised whenever values change"),
    }
)
"""`metrics`: what each metric of this protoscore declares."""

CLASSES = with_partition_columns(
    ("dataset", "split"),
    commented(
        {
            "dataset_version": (pa.string(), "the newest version of the split with scores"),
            "label": (pa.int32(), "class index"),
            "label_name": (pa.string(), "name of the class"),
            "rows": (pa.int64(), "examples with this label"),
            "predicted_rows": (pa.int64(), "examples predicted to be of this class"),
            "accuracy": (pa.float64(), "share of rows that are predicted to be of this class"),
        }
    ),
)
"""`classes`: the classes of each split."""


SCORES_VIEW = with_names(SCORES_TABLE)
"""`scores` with the names of classes."""

ISSUES_VIEW = with_names(ISSUES_TABLE.schema)
"""`issues` with the names of classes."""


@dataclass(frozen=True, kw_only=True)
class View:
    """A view, made when a query names it."""

    columns: pa.Schema
    """Its columns in order, with comments."""
    sql: Callable[[], str]
    """Returns its SQL, which may use the views before it."""


def views(
    storage: Storage, scores: DeltaTable, version: int | None, *, names: bool
) -> dict[str, View]:
    """Return all views, by name.

    Args:
        storage: the store.
        scores: an open version of `scores`.
        version: limit `nights` and `runs` to nights up to this version of `scores`; None: no limit.
        names: read the class names that `scores` has; if not, these columns are deferred.
    """
    return {
        "scores": View(columns=SCORES_VIEW, sql=lambda: _scores(storage, scores, names=names)),
        "classes": View(columns=CLASSES, sql=lambda: classes_sql(storage, scores)),
        "metrics": View(columns=METRICS, sql=_metrics),
        "runs": View(columns=RUNS, sql=lambda: runs_sql(storage, version)),
        "nights": View(columns=NIGHTS, sql=lambda: nights_sql(storage, version)),
        **{
            table.name: View(columns=table.schema, sql=partial(table_sql, storage, table))
            for table in WHOLE_TABLES
        },
        "issues": View(columns=ISSUES_VIEW, sql=lambda: _issues(storage, scores, names=names)),
    }


def answer(
    storage: Storage, query: str, scores: DeltaTable, version: int | None, *, unsafe: bool
) -> pa.Table:
    """Answer a query over all views; see `sql.run`, and `views` for the arguments.

    Class names are read only for a query that needs them.
    """

    def run(*, names: bool) -> pa.Table:
        known = views(storage, scores, version, names=names)
        made = {name: view.sql for name, view in known.items()}
        columns = {name: view.columns for name, view in known.items()}
        return sql.run(storage, query, made, columns=columns, unsafe=unsafe)

    if unsafe or "_name" in query:
        return run(names=True)  # at once; what may do more than read must not run twice
    try:
        return run(names=False)
    except sql.Deferred:
        return run(names=True)


def _scores(storage: Storage, scores: DeltaTable, *, names: bool) -> str:
    found = read_names(storage, scores) if names else None
    return named_sql(scores_sql(storage, scores), SCORES_VIEW, found)


def _issues(storage: Storage, scores: DeltaTable, *, names: bool) -> str:
    found = read_names(storage, scores) if names else None
    return named_sql(table_sql(storage, ISSUES_TABLE), ISSUES_VIEW, found)


def _metrics() -> str:
    rows = [[getattr(metric, column) for column in METRICS.names] for metric in declared().values()]
    return values_sql(rows, METRICS)


def scores_sql(storage: Storage, table: DeltaTable, only: Mapping[str, str] | None = None) -> str:
    """Return SQL over an open version of `scores`, or over some of its partitions.

    Args:
        storage: the store.
        table: an open version of `scores`.
        only: partition column to the value that partitions must have; None: all partitions.
    """
    found = {
        table_path("scores", file["path"]): lacking(file, SCORES_TABLE)
        for file in files(table, only)
    }
    return sql.files_sql([*found], SCORES_TABLE, PARTITION_COLUMNS, found)


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
