"""The store as people use it: tables by name, SQL, and the two ends of a ranking."""

from collections.abc import Mapping, Sequence

import pyarrow as pa
from deltalake import DeltaTable

from scoring.errors import UnknownName, UserError
from scoring.storage import Storage
from scoring.tables import sql
from scoring.tables.delta import files, table_uri
from scoring.tables.evaluations import reading_evaluations
from scoring.tables.history import At, history, open_scores, reading_log
from scoring.tables.lookup import (
    check_published,
    class_index,
    class_names,
    only_dataset,
    partitions,
)
from scoring.tables.manifest import Partition
from scoring.tables.movement import BY_METRIC, MOVED
from scoring.tables.schemas import NIGHTS, PARTITION_COLUMNS, RUNS, SCORES_TABLE

_ENDS = """
    select rank, example_id, name,
           label, list_extract({classes}, label + 1) as label_name,
           predicted, list_extract({classes}, predicted + 1) as predicted_name,
           value, status, percentile, class_percentile, class_z
    from scores
    where rank is not null {and_label}
    order by rank {order}
    limit {n:d}
"""


class Store:
    """Published scores under a URI, read from Python or with SQL.

    >>> store = Store("./store")                                        # doctest: +SKIP
    >>> store.outliers("adv_l2", label="cat", n=5)                      # doctest: +SKIP
    >>> store.sql("select metric, avg(value) from scores group by 1")   # doctest: +SKIP

    Credentials of an `s3://` store come from the environment. `at` is a version of `scores`, a
    date or a time, and shows the tables as they were. Everything raises `BadStore` where the store
    cannot be read, and all but `nights` and `runs`, which are empty then, where nothing is
    published.
    """

    def __init__(self, uri: str) -> None:
        self._storage = Storage(uri)

    @property
    def uri(self) -> str:
        """Where the store is."""
        return self._storage.uri

    def scores(
        self,
        dataset: str | None = None,
        split: str | None = None,
        metric: str | None = None,
        label: int | None = None,
        columns: Sequence[str] | None = None,
        at: At = None,
    ) -> pa.Table:
        """Rows of `scores`; only the partitions and columns asked for are read.

        Raises:
            UnknownName: a partition or column that is not there; the message lists those that are.
        """
        table = open_scores(self._storage, at)
        asked = {"dataset": dataset, "split": split, "metric": metric}
        given = {name: value for name, value in asked.items() if value is not None}
        check_published(partitions(table), given)
        for column in columns or ():
            if column not in SCORES_TABLE.names:
                raise UnknownName("columns", column, SCORES_TABLE.names)
        names = ", ".join(SCORES_TABLE.names if columns is None else columns)
        where = "" if label is None else f"where label = {label:d}"
        views = {"scores": lambda: self._reading_scores(table, given)}
        return sql.run(self._storage, f"select {names} from scores {where}", views)

    def sql(self, query: str, at: At = None) -> pa.Table:
        """Answer a DuckDB query over the views `scores`, `runs`, `nights` and `evaluations`.

        `evaluations` is always as it is now, whatever `at` says.

        Raises:
            UserError: DuckDB's complaint in one line.
        """
        table = open_scores(self._storage, at)
        version = None if at is None else table.version()
        views = {
            "scores": lambda: self._reading_scores(table),
            "runs": lambda: self._reading_runs(version),
            "nights": lambda: self._reading_nights(version),
            "evaluations": lambda: reading_evaluations(self._storage),
        }
        return sql.run(self._storage, query, views)

    def outliers(
        self,
        metric: str,
        split: str = "test",
        label: int | str | None = None,
        n: int = 10,
        dataset: str | None = None,
    ) -> pa.Table:
        """The n lowest ranks of a metric, most outlying first.

        Args:
            metric: a published metric.
            split: train or test.
            label: only this class, by name or index.
            n: at most this many rows.
            dataset: may be left out where only one is published.

        Raises:
            UnknownName: no such partition or class; the message lists those there are.
        """
        return self._end("asc", metric, split, label, n, dataset)

    def prototypes(
        self,
        metric: str,
        split: str = "test",
        label: int | str | None = None,
        n: int = 10,
        dataset: str | None = None,
    ) -> pa.Table:
        """The n highest ranks of a metric, most prototypical first; else as `outliers`."""
        return self._end("desc", metric, split, label, n, dataset)

    def moved(
        self,
        before: At,
        after: At = None,
        *,
        dataset: str | None = None,
        split: str | None = None,
        metric: str | None = None,
        n: int = 20,
    ) -> pa.Table:
        """The n examples that were relabelled or moved most between two versions, in that order.

        Args:
            before: a version of `scores`, a date or a time.
            after: the same; None is now.
            dataset: only this one, as split and metric.
            split: train or test.
            metric: a published metric.
            n: at most this many rows.

        Returns:
            dataset, split, metric, example_id, name, label_before, label, percentile_before,
            percentile, moved, class_moved: the last two in percentiles, positive towards
            prototypical.
        """
        return self._between(MOVED, before, after, dataset, split, metric, n)

    def agreement(
        self,
        before: At,
        after: At = None,
        *,
        dataset: str | None = None,
        split: str | None = None,
        metric: str | None = None,
    ) -> pa.Table:
        """How two versions agree, a row for each partition that either has; arguments as `moved`.

        Returns:
            dataset, split, metric, spearman, mean_moved (of the rows that both rank),
            rows_before, rows_after, compared.
        """
        return self._between(BY_METRIC, before, after, dataset, split, metric)

    def nights(self) -> pa.Table:
        """One row per published night, oldest first."""
        query = "select * from nights order by started_at, night_id"
        return sql.run(self._storage, query, {"nights": self._reading_nights})

    def runs(self) -> pa.Table:
        """Every run of every night, oldest first."""
        query = "select * from runs order by trained_at, run_key, night_id"
        return sql.run(self._storage, query, {"runs": self._reading_runs})

    def evaluations(self, dataset: str | None = None, evaluation: str | None = None) -> pa.Table:
        """What evaluations found, of one dataset or of one kind where these are given."""
        asked = {"dataset": dataset, "evaluation": evaluation}
        given = [f"{name} = {sql.quoted(value)}" for name, value in asked.items() if value]
        query = f"select * from evaluations {'where' if given else ''} {' and '.join(given)}"
        views = {"evaluations": lambda: reading_evaluations(self._storage)}
        return sql.run(self._storage, query, views)

    def history(self) -> pa.Table:
        """Commits of `scores`, newest first: version, committed_at, night_id."""
        return history(open_scores(self._storage))

    def _end(
        self,
        order: str,
        metric: str,
        split: str,
        label: int | str | None,
        n: int,
        dataset: str | None,
    ) -> pa.Table:
        if n < 0:
            raise UserError(f"-n: expected 0 or more rows, got {n}")
        table = open_scores(self._storage)
        known = partitions(table)
        name = only_dataset(known, metric) if dataset is None else dataset
        partition = Partition(name, split, metric)
        check_published(known, partition._asdict())
        classes = class_names(self._storage, table, partition)
        query = _ENDS.format(
            classes=f"[{', '.join(map(sql.quoted, classes))}]::varchar[]",
            and_label="" if label is None else f"and label = {class_index(label, classes):d}",
            order=order,
            n=n,
        )
        views = {"scores": lambda: self._reading_scores(table, partition._asdict())}
        return sql.run(self._storage, query, views)

    def _between(
        self,
        query: str,
        before: At,
        after: At,
        dataset: str | None,
        split: str | None,
        metric: str | None,
        n: int = 0,
    ) -> pa.Table:
        if n < 0:
            raise UserError(f"-n: expected 0 or more rows, got {n}")
        asked = {"dataset": dataset, "split": split, "metric": metric}
        given = {name: value for name, value in asked.items() if value is not None}
        old, new = open_scores(self._storage, before), open_scores(self._storage, after)
        check_published([*partitions(old), *partitions(new)], given)
        views = {
            "before": lambda: self._reading_scores(old, given),
            "after": lambda: self._reading_scores(new, given),
        }
        return sql.run(self._storage, query.format(n=n), views)

    def _reading_scores(self, table: DeltaTable, only: Mapping[str, str] | None = None) -> str:
        """SQL over an open version of `scores`, or over the partitions given."""
        wanted = {f"partition.{column}": value for column, value in (only or {}).items()}
        uris = [
            f"{table_uri(self._storage, 'scores')}/{file['path']}"
            for file in files(table)
            if wanted.items() <= file.items()
        ]
        return sql.reading(uris, SCORES_TABLE, PARTITION_COLUMNS)

    def _reading_nights(self, version: int | None = None) -> str:
        """SQL over `nights`, or over those that a version of `scores` knows."""
        nights = reading_log(self._storage, "nights", NIGHTS)
        if version is None:
            return nights
        return f"select * from ({nights}) where commit_version <= {version:d}"

    def _reading_runs(self, version: int | None = None) -> str:
        runs = reading_log(self._storage, "runs", RUNS)
        if version is None:
            return runs
        nights = self._reading_nights(version)
        return f"select * from ({runs}) where night_id in (select night_id from ({nights}))"
