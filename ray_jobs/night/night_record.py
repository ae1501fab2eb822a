"""The record of a night: a file before its commit, rows of `nights` and `runs` after it.

If a job dies between the commit and those rows, the next job adds them from the file.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from datetime import date as Day
from typing import Any

from ray_jobs.jobs.job_record import new_job_id
from ray_jobs.night.partition_rows import accuracy
from ray_jobs.night.plan import Plan
from scoring.data.corrections import NO_CLASS
from scoring.logs import logger
from scoring.run_spec import RunSpec
from scoring.runs.record import RunRecord, load_records
from scoring.store.keys import jsonable
from scoring.store.layout import night_path
from scoring.store.records import read_record, read_sound_records, write_record
from scoring.store.storage import Storage
from scoring.tables.nights import BadRows, append_night, committed_nights, recorded_nights

_log = logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Night:
    """One run of the nightly job."""

    night_id: str
    date: Day
    """The day it counts for."""
    started: datetime
    command: str

    @classmethod
    def begin(cls, command: str, date: Day) -> "Night":
        """Return a night that starts now."""
        now = datetime.now(UTC)
        return cls(night_id=new_job_id(now), date=date, started=now, command=command)


@dataclass(frozen=True, kw_only=True)
class _NightRecord:
    """What the file holds: rows of `nights` and `runs`, with times as JSON text."""

    night: Mapping[str, Any]
    runs: tuple[Mapping[str, Any], ...]


def write_night(planned: Plan, plan: Plan, night: Night) -> None:
    """Write the file that records what the night made.

    Args:
        planned: the plan before anything was trained or scored.
        plan: the plan of what can be published.
        night: the night.
    """
    storage = plan.request.storage
    record = {
        "night": _night_row(planned, plan, night),
        "runs": _run_rows(planned, plan, storage, night),
    }
    write_record(storage, night_path(night.night_id), record)


def load_night(storage: Storage, night_id: str) -> Mapping[str, Any]:
    """Read a night's row of `nights` from its file."""
    return read_record(storage, night_path(night_id), _NightRecord).night


def record_nights(storage: Storage, dataset: str) -> None:
    """Add every published night of a dataset that `nights` or `runs` lack and that has a record."""
    missing = committed_nights(storage) - recorded_nights(storage)
    paths = map(night_path, sorted(missing))
    for path, record in read_sound_records(storage, paths, _NightRecord).items():
        if record.night.get("dataset") == dataset:
            try:
                append_night(storage, _parse_times(record.night), map(_parse_times, record.runs))
            except BadRows as error:
                _log.warning("--store: expected a night in %s, got %s", path, error)


def _night_row(planned: Plan, plan: Plan, night: Night) -> dict[str, object]:
    """Return the night's row of `nights`, with times as JSON text."""
    finished = datetime.now(UTC)
    to_train = {run.key for run in planned.missing_runs}
    trained = sum(run.key in to_train for run in plan.runs)
    # A plan of less may predict classes by other runs, and so have tasks of its own.
    to_score = {task.key for work in (*planned.work, *plan.work) for task in work.missing}
    tasks = [task.key for work in plan.work for task in work.tasks]
    scored = sum(key in to_score for key in tasks)
    return {
        "night_id": night.night_id,
        "date": night.date.isoformat(),
        "dataset": plan.request.publish_as,
        "started_at": night.started.isoformat(),
        "finished_at": finished.isoformat(),
        "command": night.command,
        "train_version": plan.versions["train"].version,
        "test_version": plan.versions["test"].version,
        "metrics": sorted({p.metric.name for p in plan.to_publish}),
        "runs_trained": trained,
        "runs_reused": len(plan.runs) - trained,
        "shards_scored": scored,
        "shards_reused": len(tasks) - scored,
        "rows": sum(plan.versions[p.split].rows for p in plan.to_publish),
        "commit_version": None,
        **_corrected(plan),
        "seconds": (finished - night.started).total_seconds(),
    }


def _corrected(plan: Plan) -> dict[str, object]:
    """Return the columns of `nights` that say what is corrected, and how good models are on it."""
    overlaid = [row for version in plan.versions.values() for row in version.overlaid]
    excluded = sum(row.label == NO_CLASS for row in overlaid)
    tested = [item for item in plan.work if item.split == "test"]
    return {
        "corrected": len(overlaid) - excluded,
        "excluded": excluded,
        "test_accuracy": accuracy(plan.request.storage, plan.request.source.name, tested),
    }


def _run_rows(planned: Plan, plan: Plan, storage: Storage, night: Night) -> list[dict[str, object]]:
    """Return the rows of `runs` for all runs of the night."""
    trained = {run.key for run in planned.missing_runs}
    records = load_records(storage, [run.key for run in plan.runs])
    return [
        {
            "night_id": night.night_id,
            "reused": run.key not in trained,
            **run_columns(run.spec, record),
        }
        for run, record in zip(plan.runs, records, strict=True)
    ]


def run_columns(spec: RunSpec, record: RunRecord) -> dict[str, object]:
    """Return the columns of `runs` that depend on the run alone, not on the night."""
    return {
        "run_key": record.key,
        "kind": spec.kind,
        "split": spec.split,
        "net": spec.net.name,
        "width": spec.net.width,
        "recipe": json.dumps(jsonable(spec.recipe), sort_keys=True),
        "seed": spec.seed,
        "subset": spec.share,
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
    }


def _parse_times(row: Mapping[str, Any]) -> dict[str, Any]:
    """Parse the dates and times of a row; what is none stays as it is."""
    parsed = dict(row)
    for name, value in row.items():
        with suppress(ValueError, TypeError):
            if name == "date":
                parsed[name] = Day.fromisoformat(value)
            elif name.endswith("_at"):
                parsed[name] = datetime.fromisoformat(value)
    return parsed
