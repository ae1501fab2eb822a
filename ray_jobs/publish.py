"""From staged shards to one commit: rank each partition, publish all, record the night."""

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from ray_jobs.plan import PartitionPlan, Plan, ShardWork
from scoring.data.shards import ShardRecord, read_columns
from scoring.errors import IncompleteError
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
    started: datetime
    command: str

    @classmethod
    def begin(cls, command: str) -> "Night":
        """A night that starts now."""
        now = datetime.now(UTC)
        return cls(
            night_id=f"{now:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}", started=now, command=command
        )


def publish_night(plan: Plan, night: Night) -> Outcome:
    """Rank what is staged, replace the partitions that changed in one commit, record the night.

    The record is an artefact first: should the job die between the commit and the tables of
    nights and runs, `record_nights` of the next job completes them.

    Raises:
        IncompleteError: rows are missing; nothing was published.
    """
    storage = plan.asked.storage
    record = {"night": _night_row(plan, night), "runs": _run_rows(plan, storage, night)}
    storage.write(_record_path(night.night_id), json.dumps(record).encode())
    outcome = publish(storage, _parts(plan, storage, night))
    if outcome.committed:
        record_nights(storage, plan.asked.publish_as)
    return outcome


def record_nights(storage: Storage, dataset: str) -> None:
    """Complete `nights` and `runs` for every night whose scores are published."""
    recorded = {row["night_id"] for row in Store(storage.uri).nights().to_pylist()}
    current = published(storage).items()
    nights = {m.night_id for partition, m in current if partition.dataset == dataset}
    for night_id in sorted(nights - recorded):
        record = json.loads(storage.read(_record_path(night_id)))
        append_night(storage, _times(record["night"]), [_times(row) for row in record["runs"]])


def _parts(plan: Plan, storage: Storage, night: Night) -> Iterator[tuple[Manifest, pa.Table]]:
    """Manifest and rows of each changed partition, one in memory at a time."""
    for partition in plan.to_publish:
        work = [w for w in plan.work if w.split == partition.split]
        version = plan.versions[partition.split]
        manifest = Manifest(
            partition=partition.partition,
            key=partition.key,
            night_id=night.night_id,
            planned_at=night.started.isoformat(),
            settings={**partition.settings, **plan.models.hardware_settings()},
            dataset_version=version.version,
            trained_on={str(s): version for s, version in plan.models.trained_on.items()},
            runs=tuple(run.key for run in partition.runs),
            rows=version.rows,
        )
        yield manifest, _rows(plan, storage, partition, work)


def _rows(
    plan: Plan, storage: Storage, partition: PartitionPlan, work: Sequence[ShardWork]
) -> pa.Table:
    """The ranked rows of one partition."""
    metric = partition.spec
    examples = pa.concat_tables(
        read_columns(storage, plan.asked.source.name, _record(item), _COLUMNS) for item in work
    )
    scores = _staged(storage, work, metric.name)
    predicted = _staged(storage, work, PREDICTED.name)
    ids: Ints = examples["example_id"].to_numpy()
    for table in (scores, predicted):
        if not np.array_equal(table["example_id"].to_numpy(), ids):
            raise IncompleteError(f"{partition.partition}: expected the dataset's ids in staging")
    label = examples["label"].fill_null(-1).to_numpy().astype(np.int64)
    value = _floats(scores["value"])
    status = np.asarray(scores["status"].fill_null("").to_pylist(), dtype=np.str_)
    tiebreak = scores["tiebreak"]
    ranks = rank(
        value=value,
        label=label,
        example_id=ids,
        direction=metric.prototypical,
        status=status,
        tiebreak=None if tiebreak.null_count == len(tiebreak) else _floats(tiebreak, 0.0),
    )
    keys = {w.shard.first_id: w.key(metric.name) for w in work}
    return score_rows(
        example_id=ids,
        name=examples["name"].combine_chunks(),
        label=label,
        predicted=np.nan_to_num(_floats(predicted["value"]), nan=-1).astype(np.int64),
        value=value,
        spread=_floats(scores["spread"]),
        status=status,
        ranks=ranks,
        scored_at=scores["scored_at"].combine_chunks(),
        dataset_version=plan.versions[partition.split].version,
        score_key=pa.concat_arrays(
            pa.repeat(pa.scalar(keys[w.shard.first_id]), _record(w).rows) for w in work
        ),
    )


def _record(work: ShardWork) -> ShardRecord:
    assert work.shard.record is not None  # scores are staged, so the shard is there
    return work.shard.record


def _staged(storage: Storage, work: Sequence[ShardWork], metric: str) -> pa.Table:
    return read_scores(storage, [staged_path(metric, w.key(metric)) for w in work])


def _floats(column: pa.ChunkedArray, missing: float = np.nan) -> Floats:
    values = column.to_numpy().astype(np.float64)
    return np.where(np.isnan(values), missing, values)


def _night_row(plan: Plan, night: Night) -> dict[str, object]:
    finished = datetime.now(UTC)
    tasks = [len(work.tasks) for work in plan.work]
    scored = sum(len(work.missing) for work in plan.work)
    return {
        "night_id": night.night_id,
        "dataset": plan.asked.publish_as,
        "started_at": night.started.isoformat(),
        "finished_at": finished.isoformat(),
        "command": night.command,
        "train_version": plan.versions["train"].version,
        "test_version": plan.versions["test"].version,
        "metrics": sorted({p.spec.name for p in plan.to_publish}),
        "runs_trained": len(plan.missing_runs),
        "runs_reused": len(plan.runs) - len(plan.missing_runs),
        "shards_scored": scored,
        "shards_reused": sum(tasks) - scored,
        "rows": sum(plan.versions[p.split].rows for p in plan.to_publish),
        "commit_version": None,
        "seconds": (finished - night.started).total_seconds(),
    }


def _run_rows(plan: Plan, storage: Storage, night: Night) -> list[dict[str, object]]:
    trained = {run.key for run in plan.missing_runs}
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
    """JSON texts back to times."""
    return {
        name: datetime.fromisoformat(value) if name.endswith("_at") and value else value
        for name, value in row.items()
    }


def _record_path(night_id: str) -> str:
    return f"nights/{night_id}.json"
