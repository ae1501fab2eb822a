"""The rows of a partition, made from staged shards a few at a time.

Only columns of at most 8 bytes per example are held in memory. Nothing else on the driver grows
with the dataset.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ray_jobs.night.work import ShardWork
from scoring.arrays import AnyInts, Floats
from scoring.data.corrections import NO_CLASS, given_labels
from scoring.data.shard_parts import read_columns
from scoring.errors import IncompleteError
from scoring.folds.prediction import PREDICTED
from scoring.score.ranking import rank
from scoring.spec import Metric
from scoring.staged.scores import StagedScores, read_scores
from scoring.statuses import EXCLUDED
from scoring.store.layout import staged_path
from scoring.store.parallel import in_parallel
from scoring.store.storage import Storage
from scoring.tables.score_rows import Rows, score_rows
from scoring.tables.strings_on_disk import strings_on_disk


@dataclass(frozen=True, kw_only=True)
class Examples:
    """The columns that all partitions of a split share: N rows in shard order."""

    work: Sequence[ShardWork]
    shard: npt.NDArray[np.int32]
    """Index in `work` of each row's shard."""
    ids: AnyInts
    names: pa.Array
    labels: npt.NDArray[np.int32]
    given: npt.NDArray[np.int32]
    """The source's labels where a correction changed them, else -1."""
    excluded: AnyInts
    """Rows that corrections exclude."""
    predicted: npt.NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class _Scores:
    """A metric's scores of N rows."""

    value: Floats
    spread: Floats
    tiebreak: Floats | None
    status: npt.NDArray[np.object_]
    scored_at: pa.Array


def read_examples(
    storage: Storage, dataset: str, work: Sequence[ShardWork], scratch: str = ""
) -> Examples:
    """Read the ids, labels, names and predicted classes of a split.

    Args:
        storage: the store.
        dataset: the dataset's name in it.
        work: the split's shards.
        scratch: the folder that --scratch names.

    Raises:
        IncompleteError: the ids of the predictions are not the dataset's.
        Outage: the disk of the temporary file is full.
    """
    rows = [item.record.rows for item in work]
    ids = np.empty(sum(rows), dtype=np.int64)
    labels = np.empty(len(ids), dtype=np.int32)
    read = partial(read_columns, storage, dataset, columns=("example_id", "name", "label"))

    def names() -> Iterator[pa.Array]:
        at = 0
        for part in in_parallel(read, (item.record for item in work)):
            here = slice(at, at := at + len(part))
            ids[here] = part["example_id"].to_numpy()
            labels[here] = part["label"].fill_null(-1).to_numpy()
            yield part["name"].combine_chunks()

    all_names = strings_on_disk(names(), len(ids), scratch)
    predicted = np.full(len(ids), -1, dtype=np.int32)
    for here, part in _staged(storage, work, PREDICTED.name, ids):
        predicted[here] = np.nan_to_num(part.value, nan=-1)
    overlaid = tuple(row for item in work for row in item.record.overlaid)
    excluded = [row.example_id for row in overlaid if row.label == NO_CLASS]
    return Examples(
        work=work,
        shard=np.repeat(np.arange(len(work), dtype=np.int32), rows),
        ids=ids,
        names=all_names,
        labels=labels,
        given=given_labels(overlaid, ids).astype(np.int32),
        excluded=np.flatnonzero(np.isin(ids, excluded)),
        predicted=predicted,
    )


def partition_rows(
    storage: Storage, metric: Metric, examples: Examples, dataset_version: str
) -> Rows:
    """Rank a metric's staged scores. Nothing is read before the first row is consumed.

    Raises:
        IncompleteError: the staged ids are not the dataset's.
    """
    scores = _scores(storage, metric.name, examples)
    ranks = rank(
        value=scores.value,
        label=examples.labels if metric.normalised_in == "label" else examples.predicted,
        example_id=examples.ids,
        direction=metric.prototypical,
        ranked_by=metric.ranked_by,
        ends=metric.statuses,
        status=scores.status,
        tiebreak=scores.tiebreak,
    )
    keys = pa.array([item.key(metric.name) for item in examples.work])
    yield from score_rows(
        example_id=examples.ids,
        name=examples.names,
        label=examples.labels,
        given_label=examples.given,
        predicted=examples.predicted,
        value=scores.value,
        spread=scores.spread,
        status=scores.status,
        ranks=ranks,
        scored_at=pa.DictionaryArray.from_arrays(examples.shard, scores.scored_at),
        dataset_version=dataset_version,
        score_key=pa.DictionaryArray.from_arrays(examples.shard, keys),
    )


def accuracy(storage: Storage, dataset: str, work: Sequence[ShardWork]) -> float | None:
    """Return the share of labelled rows that are predicted as labelled; None if there are none."""
    read = partial(read_columns, storage, dataset, columns=("label",))
    paths = [staged_path(PREDICTED.name, item.key(PREDICTED.name)) for item in work]
    labels = in_parallel(read, (item.record for item in work))
    rows = right = 0
    for part, scores in zip(labels, in_parallel(partial(read_scores, storage), paths), strict=True):
        label = part["label"].fill_null(-1).to_numpy()
        known = (label >= 0) & ~np.isnan(scores.value)
        rows += int(known.sum())
        right += int((label == scores.value)[known].sum())
    return right / rows if rows else None


def _scores(storage: Storage, metric: str, examples: Examples) -> _Scores:
    value, spread, tiebreak = (np.full(len(examples.ids), np.nan) for _ in range(3))
    status = np.full(len(examples.ids), "", dtype=np.object_)
    scored_at = []
    for here, part in _staged(storage, examples.work, metric, examples.ids):
        value[here], spread[here], tiebreak[here] = part.value, part.spread, part.tiebreak
        status[here] = part.status
        scored_at.append(part.scored_at)
    value[examples.excluded] = spread[examples.excluded] = tiebreak[examples.excluded] = np.nan
    status[examples.excluded] = EXCLUDED
    return _Scores(
        value=value,
        spread=spread,
        tiebreak=None if np.isnan(tiebreak).all() else np.nan_to_num(tiebreak, copy=False),
        status=status,
        scored_at=pa.array(scored_at, pa.timestamp("us", "UTC")),
    )


def _staged(
    storage: Storage, work: Sequence[ShardWork], metric: str, ids: AnyInts
) -> Iterator[tuple[slice, StagedScores]]:
    """Yield the slice of rows that each shard fills, with its staged scores.

    Raises:
        IncompleteError: the ids are not the dataset's.
    """
    paths = [staged_path(metric, item.key(metric)) for item in work]
    at = 0
    for part in in_parallel(partial(read_scores, storage), paths):
        here = slice(at, at := at + len(part.ids))
        if not np.array_equal(part.ids, ids[here]):
            raise IncompleteError(f"{metric}: expected the dataset's ids in staging, got others")
        yield here, part
    if at != len(ids):
        raise IncompleteError(f"{metric}: expected {len(ids)} rows in staging, got {at}")
