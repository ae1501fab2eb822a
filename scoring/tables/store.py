"""Read a store from Python: tables by name, SQL, and the two ends of a ranking."""

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from scoring.errors import UnknownName, UserError
from scoring.store.storage import Storage
from scoring.tables import sql
from scoring.tables.ends import Order, end_sql
from scoring.tables.history import At, history, open_scores
from scoring.tables.lookup import (
    check_published,
    class_index,
    class_names,
    only_dataset,
    partitions,
)
from scoring.tables.manifest import Partition
from scoring.tables.movement import BY_METRIC, CORRECTED, MOVED
from scoring.tables.schemas import SCORES_TABLE
from scoring.tables.views import answer, nights_sql, runs_sql, scores_sql
from scoring.tables.whole_partitions import (
    EVALUATIONS_TABLE,
    EXAMPLE_SETS_TABLE,
    PROBABILITIES_TABLE,
    REPRESENTER_MODELS_TABLE,
    REPRESENTERS_TABLE,
    VERDICTS_TABLE,
    WholeTable,
    table_sql,
)


class Store:
    """Published scores at a URI, read from Python or with SQL.

    >>> store = Store("./store")                                        # doctest: +SKIP
    >>> store.outliers("adv_l2", label="cat", n=5)                      # doctest: +SKIP
    >>> store.sql("select metric, avg(value) from scores group by 1")   # doctest: +SKIP

    Credentials for an `s3://` store come from the environment. `at` is a version of `scores`, a
    date or a time, and shows the tables as they were then. All methods raise `BadStore` if the
    store cannot be read. Before the first night, methods that read `scores` raise `BadStore`
    too; the others return no rows.
    """

    def __init__(self, uri: str) -> None:
        self._storage = Storage(uri)

    @property
    def uri(self) -> str:
        """The URI of the store."""
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
        """Return rows of `scores`; only the partitions and columns needed are read.

        Raises:
            UnknownName: there is no such partition or column; the message lists what exists.
        """
        table = open_scores(self._storage, at)
        given = _given(dataset=dataset, split=split, metric=metric)
        check_published(partitions(table), given)
        for column in columns or ():
            if column not in SCORES_TABLE.names:
                raise UnknownName("columns", column, SCORES_TABLE.names)
        names = ", ".join(SCORES_TABLE.names if columns is None else columns)
        where = "" if label is None else f"where label = {label:d}"
        views = {"scores": lambda: scores_sql(self._storage, table, given)}
        return sql.run(self._storage, f"select {names} from scores {where}", views)

    def sql(self, query: str, at: At = None, *, unsafe: bool = False) -> pa.Table:
        """Answer a DuckDB query in which each table is a view of its name.

        `scores` also has the names of classes; `classes` and `metrics` are views alone. `show
        tables` lists all, `describe scores` the columns of one, and `duckdb_columns()` says what
        each column means. The query is a sandbox: it can read these tables, and neither read nor
        write anything else.

        Args:
            query: DuckDB SQL; if there are several statements, the last one answers.
            at: does not apply to `evaluations`, `probabilities`, `issues`, `verdicts`,
                `example_sets`, `representers` and `representer_models`, which are always as they
                are now.
            unsafe: allow every statement, and whatever files this process may read or write.

        Raises:
            UserError: DuckDB's message in one line, or a statement that the sandbox refuses.
            Damaged: a file that the query reads is not what was written.
        """
        table = open_scores(self._storage, at)
        version = None if at is None else table.version()
        return answer(self._storage, query, table, version, unsafe=unsafe)

    def outliers(
        self,
        metric: str,
        split: str = "test",
        label: int | str | None = None,
        n: int = 10,
        dataset: str | None = None,
    ) -> pa.Table:
        """Return the n lowest ranks of a metric, most outlying first.

        Ranks follow `value` or `class_z`, as the view `metrics` says in `ranked_by`.

        Args:
            metric: a published metric.
            split: train or test.
            label: only this class, by name or index.
            n: maximum number of rows.
            dataset: may be omitted if only one is published.

        Raises:
            UnknownName: there is no such partition or class; the message lists what exists.
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
        """Return the n highest ranks of a metric, most prototypical first; see `outliers`."""
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
        """Return the n examples that changed most between two versions, relabelled ones first.

        Args:
            before: a version of `scores`, a date or a time.
            after: the same; None: now.
            dataset: only this dataset.
            split: only this split, train or test.
            metric: only this published metric.
            n: maximum number of rows.

        Returns:
            dataset, split, metric, example_id, name, label_before, label, given_label,
            percentile_before, percentile, moved, class_moved; the last two in percentiles, positive
            if the example became more prototypical.
        """
        return self._compare(
            MOVED, before, after, _given(dataset=dataset, split=split, metric=metric), n
        )

    def agreement(
        self,
        before: At,
        after: At = None,
        *,
        dataset: str | None = None,
        split: str | None = None,
        metric: str | None = None,
    ) -> pa.Table:
        """Return how well two versions agree, a row for each partition; arguments as in `moved`.

        Returns:
            dataset, split, metric, spearman, mean_moved (over the rows that both rank),
            rows_before, rows_after, compared.
        """
        return self._compare(
            BY_METRIC, before, after, _given(dataset=dataset, split=split, metric=metric)
        )

    def relabelled(
        self, before: At, after: At = None, *, dataset: str | None = None, split: str | None = None
    ) -> pa.Table:
        """Return how labels changed between two versions, and what that was worth.

        Arguments as in `moved`.

        Returns:
            A row for each split of a dataset with another label in any: dataset, split, corrected,
            excluded, given_back (in rows), accuracy_before, accuracy_before_as_labelled_now (the
            earlier predictions, judged by the later labels) and accuracy.
        """
        return self._compare(CORRECTED, before, after, _given(dataset=dataset, split=split))

    def nights(self) -> pa.Table:
        """Return a row for each published night, oldest first."""
        query = "select * from nights order by started_at, night_id"
        return sql.run(self._storage, query, {"nights": lambda: nights_sql(self._storage)})

    def runs(self) -> pa.Table:
        """Return every run of every night, oldest first."""
        query = "select * from runs order by trained_at, run_key, night_id"
        return sql.run(self._storage, query, {"runs": lambda: runs_sql(self._storage)})

    def evaluations(self, dataset: str | None = None, evaluation: str | None = None) -> pa.Table:
        """Return the findings of evaluations, optionally of one dataset or one evaluation."""
        return self._whole(EVALUATIONS_TABLE, dataset=dataset, evaluation=evaluation)

    def probabilities(self, dataset: str | None = None, split: str | None = None) -> pa.Table:
        """Return the mean probabilities by the models that did not see each example.

        They are those of the newest night whose metrics read the ensemble.
        """
        return self._whole(PROBABILITIES_TABLE, dataset=dataset, split=split)

    def issues(self, dataset: str | None = None, split: str | None = None) -> pa.Table:
        """Return the examples whose label a person should look at, the likeliest mistake first.

        They are those of the newest night whose metrics read the ensemble, with the names of
        classes.
        """
        rows = self.sql(
            "select dataset, split, rank, example_id, name, label, label_name, suggested, "
            "suggested_name, wrong, kind, label_probability, suggested_probability, models, "
            "fleet_aum, memorisation, dataset_version from issues "
            "order by dataset, split desc, rank"
        )
        for column, value in _given(dataset=dataset, split=split).items():
            rows = rows.filter(pc.equal(rows[column], value))
        return rows

    def verdicts(self, dataset: str | None = None, split: str | None = None) -> pa.Table:
        """Return what reviewers decided about labels."""
        return self._whole(VERDICTS_TABLE, dataset=dataset, split=split)

    def example_sets(self, dataset: str | None = None, split: str | None = None) -> pa.Table:
        """Return the members of the example sets, with their clusters."""
        return self._whole(EXAMPLE_SETS_TABLE, dataset=dataset, split=split)

    def representers(
        self, dataset: str | None = None, split: str | None = None, run: str | None = None
    ) -> pa.Table:
        """Return the training examples that explain predictions."""
        return self._whole(REPRESENTERS_TABLE, dataset=dataset, split=split, run=run)

    def representer_models(self, dataset: str | None = None) -> pa.Table:
        """Return the layers behind `representers`, and how exactly their parts add up."""
        return self._whole(REPRESENTER_MODELS_TABLE, dataset=dataset)

    def history(self) -> pa.Table:
        """Return the commits of `scores`, newest first: version, committed_at, night_id."""
        open_scores(self._storage)
        return history(self._storage)

    def _whole(self, table: WholeTable, **partition: str | None) -> pa.Table:
        given = _given(**partition)
        views = {table.name: lambda: table_sql(self._storage, table, given)}
        return sql.run(self._storage, f"select * from {table.name}", views)

    def _end(
        self,
        order: Order,
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
        index = None if label is None else class_index(label, classes)
        query = end_sql(order, n, classes, index)
        views = {"scores": lambda: scores_sql(self._storage, table, partition._asdict())}
        return sql.run(self._storage, query, views)

    def _compare(
        self, query: str, before: At, after: At, given: Mapping[str, str], n: int = 0
    ) -> pa.Table:
        if n < 0:
            raise UserError(f"-n: expected 0 or more rows, got {n}")
        old = open_scores(self._storage, before, "--from")
        new = open_scores(self._storage, after, "--to")
        check_published([*partitions(old), *partitions(new)], given)
        views = {
            "before": lambda: scores_sql(self._storage, old, given),
            "after": lambda: scores_sql(self._storage, new, given),
        }
        return sql.run(self._storage, query.format(n=n), views)


def _given(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}
