"""Wide rows: one for each example, with its scores by all metrics, and its data from its shard.

The score columns of one split are in memory, 8 bytes for each number. Names, images and texts are
read from the shards and dropped once written.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from scoring.analysis.snapshot import Snapshot
from scoring.arrays import Ints
from scoring.data.corrections import given_labels
from scoring.data.shard_parts import read_columns, read_files
from scoring.data.shards import ShardRecord, reading
from scoring.data.versions import DatasetVersion
from scoring.declared import declared
from scoring.errors import BadStore
from scoring.store.storage import Storage
from scoring.tables import Store

_SCORES = {
    "value": pa.float64(),
    "percentile": pa.float64(),
    "class_percentile": pa.float64(),
    "status": pa.string(),
}
_CLASS_Z = {"class_z": pa.float64()}
_EXAMPLE = {
    "split": pa.string(),
    "example_id": pa.int64(),
    "name": pa.string(),
    "label": pa.int32(),
    "label_name": pa.string(),
    "given_label_name": pa.string(),  # of the source, where a correction changed it
    "predicted": pa.int32(),
    "predicted_name": pa.string(),
}


def wide_schema(metrics: Sequence[str]) -> pa.Schema:
    """Return the columns of an example, then those of each metric: `<metric>_value` and so on.

    A metric whose percentiles follow `class_z` has that column too.
    """
    scores = {f"{m}_{name}": kind for m in metrics for name, kind in _scores_of(m).items()}
    return pa.schema({**_EXAMPLE, **scores})


def _scores_of(metric: str) -> dict[str, pa.DataType]:
    known = declared().get(metric)
    return _SCORES | _CLASS_Z if known and known.ranked_by == "class_z" else _SCORES


@dataclass(frozen=True, kw_only=True)
class ScoredSplit:
    """The N examples of a split, with their scores."""

    storage: Storage
    version: DatasetVersion
    schema: pa.Schema
    """Schema of the rows, without images or texts."""
    ids: Ints
    """[N] ascending; row i of every column is example ids[i]."""
    predicted: pa.ChunkedArray
    """[N] int32, null where unknown."""
    scores: Mapping[str, pa.Table]
    """Metric to its columns of the rows, [N]."""

    @property
    def shards(self) -> list[ShardRecord]:
        """Shards, sorted by id."""
        return sorted(self.version.shards, key=lambda shard: shard.first_id)

    def table(self, shard: ShardRecord) -> pa.Table:
        """Return the rows of a shard.

        Raises:
            BadStore: it cannot be read.
        """
        with reading(self.storage, self.version.name, shard):
            columns = ("example_id", "name", "label")
            return self._wide(read_columns(self.storage, self.version.name, shard, columns))

    def tables_with_files(self, shard: ShardRecord) -> Iterator[pa.Table]:
        """Yield the rows of a shard, a few hundred at a time, with the files as `image` or `text`.

        Raises:
            BadStore: it cannot be read.
        """
        version = self.version
        with reading(self.storage, version.name, shard):
            for table in read_files(self.storage, version.name, shard, version.shape):
                column = version.shape.column
                yield self._wide(table).append_column(column, table[column])

    def _wide(self, examples: pa.Table) -> pa.Table:
        """Join rows of a shard with their published scores."""
        start = np.searchsorted(self.ids, examples["example_id"][0].as_py())
        rows = slice(int(start), int(start) + len(examples))
        classes = pa.array(self.version.classes, pa.string())
        label, predicted = examples["label"], self.predicted[rows]
        columns = {
            "split": pa.repeat(self.version.split, len(examples)),
            "example_id": examples["example_id"],
            "name": examples["name"],
            "label": label,
            "label_name": classes.take(label.combine_chunks()),
            "given_label_name": self._given(examples["example_id"].to_numpy()),
            "predicted": predicted,
            "predicted_name": classes.take(predicted.combine_chunks()),
        }
        for metric, scores in self.scores.items():
            kinds = _scores_of(metric).items()
            columns |= {f"{metric}_{name}": scores[name][rows].cast(kind) for name, kind in kinds}
        columns |= {
            field.name: pa.nulls(len(examples), field.type)
            for field in self.schema
            if field.name not in columns
        }
        return pa.table(columns, schema=self.schema)

    def _given(self, ids: Ints) -> pa.Array:
        """Return the name of the source's class of examples [N] where a correction changed it."""
        classes = pa.array(self.version.classes, pa.string())
        given = given_labels(self.version.overlaid, ids)
        return classes.take(pa.array(given, mask=given < 0))


def read_split(
    snapshot: Snapshot, version: DatasetVersion, metrics: Sequence[str], schema: pa.Schema
) -> ScoredSplit:
    """Read the scores of a split by some metrics.

    Args:
        snapshot: the published scores.
        version: the dataset version that all of these were computed on.
        metrics: one or more.
        schema: schema of the rows to make.

    Raises:
        BadStore: a partition cannot be read, or does not hold all examples of the version.
    """
    in_order = sorted(version.shards, key=lambda shard: shard.first_id)
    ranges = [np.arange(shard.first_id, shard.first_id + shard.rows) for shard in in_order]
    ids = np.concatenate([np.empty(0, np.int64), *ranges])
    newest = max(metrics, key=lambda metric: snapshot.manifests[version.split, metric].planned)
    scores, predicted = {}, pa.chunked_array([], pa.int32())
    for metric in metrics:
        table = _read_partition(snapshot, version, metric, ids)
        if metric == newest:
            predicted = table["predicted"]
        scores[metric] = table.select(list(_scores_of(metric)))
    return ScoredSplit(
        storage=snapshot.storage,
        version=version,
        schema=schema,
        ids=ids,
        predicted=predicted,
        scores=scores,
    )


def _read_partition(
    snapshot: Snapshot, version: DatasetVersion, metric: str, ids: Ints
) -> pa.Table:
    """Read a partition with one row for each of `ids`, in their order."""
    columns = ("example_id", "predicted", *_scores_of(metric))
    store, split = Store(snapshot.storage.uri), version.split
    table = store.scores(snapshot.dataset, split, metric, columns=columns, at=snapshot.version)
    status = table["status"].dictionary_encode()  # 4 bytes an example, however long
    table = table.set_column(columns.index("status"), "status", status).sort_by("example_id")
    if not np.array_equal(table["example_id"].to_numpy(), ids):
        raise BadStore(
            f"--store: expected {split}/{metric} to hold each of {len(ids):,} examples once, "
            f"got {len(table):,} rows with other ids"
        )
    return table
