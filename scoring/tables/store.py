"""The store as people use it: tables by name, SQL, and the two ends of a ranking."""

from collections.abc import Sequence

import pyarrow as pa

from scoring.errors import UnknownName, UserError
from scoring.store.storage import Storage
from scoring.tables import sql
from scoring.tables.history import At, history, open_scores
from scoring.tables.lookup import (
    check_published,
    class_index,
    class_names,
    only_dataset,
    partitions,
)
from scoring.tables.manifest import Partition
from scoring.tables.movement import BY_METRIC, MOVED
from scoring.tables.schemas import SCORES_TABLE
from scoring.tables.views import reading_nights, reading_runs, reading_scores, views
from scoring.tables.whole_partitions import (
    EVALUATIONS_TABLE,
    EXAMPLE_SETS_TABLE,
    REPRESENTER_MODELS_TABLE,
    REPRESENTERS_TABLE,
    WholeTable,
    reading_table,
)

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
        views = {"scores": lambda: reading_scores(self._storage, table, given)}
        return sql.run(self._storage, f"select {names} from scores {where}", views)

    def sql(self, query: str, at: At = None) -> pa.Table:
        """Answer a DuckDB query over the tables, each a view of its name.

        `evaluations`, `example_sets`, `representers` and `representer_models` are always as they
        are now, whatever `at` says.

        Raises:
            UserError: DuckDB's complaint in one line.
        """
        table = open_scores(self._storage, at)
        version = None if at is None else table.version()
        return sql.run(self._storage, query, views(self._storage, table, version))

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
        return sql.run(self._storage, query, {"nights": lambda: reading_nights(self._storage)})

    def runs(self) -> pa.Table:
        """Every run of every night, oldest first."""
        query = "select * from runs order by trained_at, run_key, night_id"
        return sql.run(self._storage, query, {"runs": lambda: reading_runs(self._storage)})

    def evaluations(self, dataset: str | None = None, evaluation: str | None = None) -> pa.Table:
        """What evaluations found, of one dataset or of one kind where these are given."""
        return self._whole(EVALUATIONS_TABLE, dataset=dataset, evaluation=evaluation)

    def example_sets(self, dataset: str | None = None, split: str | None = None) -> pa.Table:
        """Which examples metrics together tell apart, and how those of a class fall into groups."""
        return self._whole(EXAMPLE_SETS_TABLE, dataset=dataset, split=split)

    def representers(
        self, dataset: str | None = None, split: str | None = None, run: str | None = None
    ) -> pa.Table:
        """Which training examples explain predictions, of one dataset, split or run if given."""
        return self._whole(REPRESENTERS_TABLE, dataset=dataset, split=split, run=run)

    def representer_models(self, dataset: str | None = None) -> pa.Table:
        """The layers behind `representers`, and how exactly they are the sum of their parts."""
        return self._whole(REPRESENTER_MODELS_TABLE, dataset=dataset)

    def history(self) -> pa.Table:
        """Commits of `scores`, newest first: version, committed_at, night_id."""
        return history(open_scores(self._storage))

    def _whole(self, table: WholeTable, **partition: str | None) -> pa.Table:
        given = {column: value for column, value in partition.items() if value is not None}
        reading = {table.name: lambda: reading_table(self._storage, table, given)}
        return sql.run(self._storage, f"select * from {table.name}", reading)

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
        views = {"scores": lambda: reading_scores(self._storage, table, partition._asdict())}
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
            "before": lambda: reading_scores(self._storage, old, given),
            "after": lambda: reading_scores(self._storage, new, given),
        }
        return sql.run(self._storage, query.format(n=n), views)
