"""From staged shards to one commit: rank each partition, publish all, record the night."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ray_jobs.night_record import Night, record_nights, write_record
from ray_jobs.plan import PartitionPlan, Plan, ShardWork, prediction_signal
from scoring.data.files import in_parallel
from scoring.data.shards import ShardRecord, read_columns
from scoring.errors import IncompleteError
from scoring.keys import SPLITS, Split
from scoring.prediction import PREDICTED
from scoring.ranking import Floats, Ints, rank
from scoring.storage import Storage
from scoring.tables.manifest import Manifest
from scoring.tables.publish import Outcome, publish
from scoring.tables.schemas import score_rows
from scoring.tables.staging import read_scores, staged_path

_COLUMNS = ("example_id", "name", "label")


def publish_night(planned: Plan, plan: Plan, night: Night) -> Outcome:
    """Rank what is staged, replace the partitions that changed in one commit, record the night.

    Args:
        planned: the night before anything was trained or scored.
        plan: what of it can be published.
        night: which night it is.

    Raises:
        IncompleteError: rows are missing; nothing was published.
    """
    storage = plan.asked.storage
    write_record(planned, plan, night)
    outcome = publish(storage, _parts(plan, storage, night))
    if outcome.committed:
        record_nights(storage, plan.asked.publish_as)
    return outcome


@dataclass(frozen=True, kw_only=True)
class _Examples:
    """What all partitions of a split share: N rows in shard order."""

    work: Sequence[ShardWork]
    ids: Ints
    names: pa.Array
    labels: Ints
    predicted: Ints


def _parts(plan: Plan, storage: Storage, night: Night) -> Iterator[tuple[Manifest, pa.Table]]:
    """Manifest and rows of each changed partition, one in memory at a time."""
    for split in SPLITS:
        changed = [partition for partition in plan.to_publish if partition.split == split]
        examples = _examples(plan, storage, split) if changed else None
        for partition in changed:
            assert examples is not None
            manifest = _manifest(plan, night, partition)
            yield manifest, _rows(storage, partition, examples, manifest.dataset_version)


def _manifest(plan: Plan, night: Night, partition: PartitionPlan) -> Manifest:
    version = plan.versions[partition.split]
    work = [item for item in plan.work if item.split == partition.split]
    metrics = (partition.spec.name, PREDICTED.name)
    return Manifest(
        partition=partition.partition,
        key=partition.key,
        night_id=night.night_id,
        planned_at=night.started.isoformat(),
        settings={**partition.settings, **plan.models.hardware_settings()},
        dataset_version=version.version,
        trained_on={str(split): key for split, key in plan.models.trained_on.items()},
        runs=_run_keys(plan, partition),
        rows=version.rows,
        staged=tuple(staged_path(name, item.key(name)) for name in metrics for item in work),
    )


def _run_keys(plan: Plan, partition: PartitionPlan) -> tuple[str, ...]:
    """The runs behind the scores and the predictions, and those that they were fine-tuned from."""
    runs = (*partition.runs, *plan.models.runs(prediction_signal(plan.asked), "train"))
    keys = (key for run in runs for key in (run.key, run.parent) if key)
    return tuple(dict.fromkeys(keys))


def _examples(plan: Plan, storage: Storage, split: Split) -> _Examples:
    work = [item for item in plan.work if item.split == split]
    dataset = plan.asked.source.name
    table = pa.concat_tables(
        in_parallel(lambda item: read_columns(storage, dataset, _record(item), _COLUMNS), work)
    )
    predicted = _staged(storage, work, PREDICTED.name, table["example_id"].to_numpy())
    return _Examples(
        work=work,
        ids=table["example_id"].to_numpy(),
        names=table["name"].combine_chunks(),
        labels=table["label"].fill_null(-1).to_numpy().astype(np.int64),
        predicted=np.nan_to_num(_floats(predicted["value"]), nan=-1).astype(np.int64),
    )


def _rows(
    storage: Storage, partition: PartitionPlan, examples: _Examples, dataset_version: str
) -> pa.Table:
    """The ranked rows of one partition."""
    metric, work = partition.spec, examples.work
    scores = _staged(storage, work, metric.name, examples.ids)
    value = _floats(scores["value"])
    status = np.asarray(scores["status"].fill_null("").to_pylist(), dtype=np.str_)
    tiebreak = scores["tiebreak"]
    ranks = rank(
        value=value,
        label=examples.labels,
        example_id=examples.ids,
        direction=metric.prototypical,
        status=status,
        tiebreak=None if tiebreak.null_count == len(tiebreak) else _floats(tiebreak, 0.0),
    )
    return score_rows(
        example_id=examples.ids,
        name=examples.names,
        label=examples.labels,
        predicted=examples.predicted,
        value=value,
        spread=_floats(scores["spread"]),
        status=status,
        ranks=ranks,
        scored_at=scores["scored_at"].combine_chunks(),
        dataset_version=dataset_version,
        score_key=pa.concat_arrays(
            pa.repeat(pa.scalar(item.key(metric.name)), _record(item).rows) for item in work
        ),
    )


def _record(work: ShardWork) -> ShardRecord:
    assert work.shard.record is not None  # scores are staged, so the shard is there
    return work.shard.record


def _staged(storage: Storage, work: Sequence[ShardWork], metric: str, ids: Ints) -> pa.Table:
    """What is staged of a metric, row for row as the dataset has it.

    Raises:
        IncompleteError: the ids are not the dataset's.
    """
    table = read_scores(storage, [staged_path(metric, item.key(metric)) for item in work])
    if not np.array_equal(table["example_id"].to_numpy(), ids):
        raise IncompleteError(f"{metric}: expected the dataset's ids in staging, got others")
    return table


def _floats(column: pa.ChunkedArray, missing: float = np.nan) -> Floats:
    values = column.to_numpy().astype(np.float64)
    return np.where(np.isnan(values), missing, values)
