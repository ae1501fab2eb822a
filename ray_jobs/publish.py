"""From staged shards to one commit: rank each partition, publish all, record the night."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from datetime import date as Day
from typing import Any

import numpy as np
import pyarrow as pa

from ray_jobs.job_record import new_job_id
from ray_jobs.plan import PartitionPlan, Plan, ShardWork, prediction_signal
from scoring.data.files import in_parallel
from scoring.data.shards import ShardRecord, read_columns
from scoring.errors import IncompleteError
from scoring.keys import SPLITS, Split
from scoring.prediction import PREDICTED
from scoring.ranking import Floats, Ints, rank
from scoring.runs import load_records
from scoring.storage import Storage
from scoring.tables.manifest import Manifest
from scoring.tables.nights import append_night
from scoring.tables.publish import Outcome, publish, published
from scoring.tables.schemas import score_rows
from scoring.tables.staging import read_scores, staged_path
from scoring.tables.store import Store

_COLUMNS = ("example_id", "name", "label")


@dataclass(frozen=True, kw_only=True)
class Night:
    """A night as it began."""

    night_id: str
    date: Day
    """The day it counts for."""
    started: datetime
    command: str

    @classmethod
    def begin(cls, command: str, date: Day) -> "Night":
        """A night that starts now."""
        now = datetime.now(UTC)
        return cls(night_id=new_job_id(now), date=date, started=now, command=command)


def publish_night(planned: Plan, plan: Plan, night: Night) -> Outcome:
    """Rank what is staged, replace the partitions that changed in one commit, record the night.

    The record is an artefact first: should the job die between the commit and the tables of
    nights and runs, `record_nights` of the next job completes them.

    Args:
        planned: the night before anything was trained or scored.
        plan: what of it can be published.
        night: which night it is.

    Raises:
        IncompleteError: rows are missing; nothing was published.
    """
    storage = plan.asked.storage
    record = {
        "night": _night_row(planned, plan, night),
        "runs": _run_rows(planned, plan, storage, night),
    }
    storage.write(_record_path(night.night_id), json.dumps(record).encode())
    outcome = publish(storage, _parts(plan, storage, night))
    if outcome.committed:
        record_nights(storage, plan.asked.publish_as)
    return outcome


def load_night(storage: Storage, night_id: str) -> dict[str, Any]:
    """A night's row of `nights`, as `publish_night` wrote it down before the commit."""
    row: dict[str, Any] = json.loads(storage.read(_record_path(night_id)))["night"]
    return row


def record_nights(storage: Storage, dataset: str) -> None:
    """Complete `nights` and `runs` for every night whose scores are published."""
    recorded = {row["night_id"] for row in Store(storage.uri).nights().to_pylist()}
    current = published(storage).items()
    nights = {m.night_id for partition, m in current if partition.dataset == dataset}
    for night_id in sorted(nights - recorded):
        record = json.loads(storage.read(_record_path(night_id)))
        append_night(storage, _times(record["night"]), [_times(row) for row in record["runs"]])


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


def _night_row(planned: Plan, plan: Plan, night: Night) -> dict[str, object]:
    """The night's row of `nights`, times as JSON has them."""
    finished = datetime.now(UTC)
    to_train = {run.key for run in planned.missing_runs}
    trained = sum(run.key in to_train for run in plan.runs)
    to_score = {task.key for work in planned.work for task in work.missing}
    tasks = [task.key for work in plan.work for task in work.tasks]
    scored = sum(key in to_score for key in tasks)
    return {
        "night_id": night.night_id,
        "date": night.date.isoformat(),
        "dataset": plan.asked.publish_as,
        "started_at": night.started.isoformat(),
        "finished_at": finished.isoformat(),
        "command": night.command,
        "train_version": plan.versions["train"].version,
        "test_version": plan.versions["test"].version,
        "metrics": sorted({p.spec.name for p in plan.to_publish}),
        "runs_trained": trained,
        "runs_reused": len(plan.runs) - trained,
        "shards_scored": scored,
        "shards_reused": len(tasks) - scored,
        "rows": sum(plan.versions[p.split].rows for p in plan.to_publish),
        "commit_version": None,
        "seconds": (finished - night.started).total_seconds(),
    }


def _run_rows(planned: Plan, plan: Plan, storage: Storage, night: Night) -> list[dict[str, object]]:
    trained = {run.key for run in planned.missing_runs}
    rows = []
    for run, record in zip(
        plan.runs, load_records(storage, [run.key for run in plan.runs]), strict=True
    ):
        spec = run.spec
        rows.append(
            {
                "night_id": night.night_id,
                "run_key": run.key,
                "kind": spec.kind,
                "split": spec.split,
                "net": spec.net.name,
                "width": spec.net.width,
                "recipe": json.dumps(record.spec["recipe"], sort_keys=True),
                "seed": spec.seed,
                "subset": spec.subset,
                "epsilon_target": spec.privacy.epsilon if spec.privacy else None,
                "epsilon_spent": record.epsilon,
                "delta": spec.privacy.delta if spec.privacy else None,
                "train_accuracy": record.train_accuracy,
                "test_accuracy": record.test_accuracy,
                "rows": record.rows,
                "epochs": record.epochs,
                "seconds": record.seconds,
                "host": record.host,
                "device": record.device,
                "trained_at": record.trained_at,
                "reused": run.key not in trained,
            }
        )
    return rows


def _times(row: Mapping[str, Any]) -> dict[str, Any]:
    """JSON texts back to dates and times."""

    def parsed(name: str, value: Any) -> Any:  # noqa: ANN401
        if name == "date":
            return Day.fromisoformat(value)
        return datetime.fromisoformat(value) if name.endswith("_at") and value else value

    return {name: parsed(name, value) for name, value in row.items()}


def _record_path(night_id: str) -> str:
    return f"nights/{night_id}.json"
