"""The store as people use it: tables by name, SQL, and the two ends of a ranking."""

import json
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from scoring.errors import UnknownName, UserError
from scoring.storage import Storage
from scoring.tables import sql
from scoring.tables.delta import open_table, unreadable
from scoring.tables.history import At, history, open_scores
from scoring.tables.manifest import Partition
from scoring.tables.publish import published
from scoring.tables.schemas import NIGHTS, PARTITION_COLUMNS, RUNS, SCORES_TABLE

_ENDS = """
    select rank, example_id, name, label, predicted, value, status,
           percentile, class_percentile, class_z
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

    Credentials of an `s3://` store come from the environment. `at` is a version of `scores` or a
    time, and shows the tables as they were. Everything raises `BadStore` where nothing is
    published or the store cannot be read.
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
        _check_published(_partitions(table), given)
        for column in columns or ():
            if column not in SCORES_TABLE.names:
                raise UnknownName("columns", column, SCORES_TABLE.names)
        only = None if label is None else pc.field("label") == label
        try:
            names = list(SCORES_TABLE.names if columns is None else columns)
            return _dataset(table, given).to_table(columns=names, filter=only)
        except (DeltaError, OSError) as error:
            raise unreadable(self._storage, error) from error

    def sql(self, query: str, at: At = None) -> pa.Table:
        """Answer a DuckDB query over the views `scores`, `runs` and `nights`.

        Raises:
            UserError: DuckDB's complaint in one line.
        """
        table = open_scores(self._storage, at)
        version = None if at is None else table.version()
        views = {
            "scores": lambda: _dataset(table),
            "runs": lambda: self._runs(version),
            "nights": lambda: self._nights(version),
        }
        try:
            return sql.run(query, views)
        except (DeltaError, OSError) as error:
            raise unreadable(self._storage, error) from error

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

    def nights(self) -> pa.Table:
        """One row per published night, oldest first."""
        return self._nights(None)

    def runs(self) -> pa.Table:
        """Every run of every night."""
        return self._runs(None)

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
        known = _partitions(table)
        name = _only_dataset(known, metric) if dataset is None else dataset
        partition = Partition(name, split, metric)
        _check_published(known, partition._asdict())
        classes = self._classes(partition)
        and_label = "" if label is None else f"and label = {_class_index(label, classes):d}"
        views = {"scores": lambda: _dataset(table, partition._asdict())}
        rows = sql.run(_ENDS.format(order=order, and_label=and_label, n=n), views)
        for column in ("label", "predicted"):
            names = [_class_name(i, classes) for i in rows[column].to_pylist()]
            at = rows.schema.get_field_index(column) + 1
            rows = rows.add_column(at, f"{column}_name", pa.array(names, pa.string()))
        return rows

    def _classes(self, partition: Partition) -> list[str]:
        """Class names in the order of labels; empty where the dataset has none."""
        version = published(self._storage)[partition].dataset_version
        path = f"datasets/{partition.dataset}/{partition.split}/{version}.json"
        try:
            return list(json.loads(self._storage.read(path))["classes"])
        except FileNotFoundError:
            return []

    def _nights(self, version: int | None) -> pa.Table:
        nights = self._log("nights", NIGHTS).sort_by("started_at")
        return nights if version is None else nights.filter(pc.field("commit_version") <= version)

    def _runs(self, version: int | None) -> pa.Table:
        runs = self._log("runs", RUNS).sort_by([("trained_at", "ascending")])
        if version is None:
            return runs
        return runs.filter(pc.field("night_id").isin(self._nights(version)["night_id"]))

    def _log(self, name: str, schema: pa.Schema) -> pa.Table:
        table = open_table(self._storage, name)
        if table is None:
            return schema.empty_table()
        try:
            return table.to_pyarrow_dataset().to_table(columns=schema.names)
        except (DeltaError, OSError) as error:
            raise unreadable(self._storage, error) from error


def _dataset(table: DeltaTable, partition: Mapping[str, str] | None = None) -> pads.Dataset:
    """The rows of an open version of `scores`, or of the partitions given."""
    only = [(column, "=", value) for column, value in (partition or {}).items()]
    return table.to_pyarrow_dataset(file_pruning_predicate=only or None)


def _partitions(table: DeltaTable) -> list[Partition]:
    return [Partition(**partition) for partition in table.partitions()]


def _check_published(known: Sequence[Partition], given: Mapping[str, str]) -> None:
    """Narrow down by one column after the other; name the first that leaves nothing."""
    for column in PARTITION_COLUMNS:
        if column in given:
            there = {getattr(partition, column) for partition in known}
            if given[column] not in there:
                raise UnknownName(f"--{column}", given[column], there)
            known = [p for p in known if getattr(p, column) == given[column]]


def _only_dataset(known: Sequence[Partition], metric: str) -> str:
    datasets = {p.dataset for p in known if p.metric == metric}
    if not datasets:
        raise UnknownName("--metric", metric, {p.metric for p in known})
    if len(datasets) > 1:
        raise UserError(f"--dataset: expected one of {', '.join(sorted(datasets))}, got none")
    return datasets.pop()


def _class_index(label: int | str, classes: Sequence[str]) -> int:
    if label in classes:
        return classes.index(str(label))
    if str(label).isdecimal() and (not classes or int(label) < len(classes)):
        return int(label)
    raise UnknownName("--label", str(label), classes or ["a class index"])


def _class_name(index: int | None, classes: Sequence[str]) -> str | None:
    return classes[index] if index is not None and index < len(classes) else None
