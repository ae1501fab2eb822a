"""The jobs of a store as a table, newest first."""

from datetime import datetime

import pyarrow as pa

from ray_jobs.jobs.job_record import Job, Unreadable, read_jobs
from ray_jobs.jobs.progress import clock, plural
from scoring.store.layout import stem
from scoring.store.storage import Storage

STATUS = pa.schema(
    {
        "job_id": pa.string(),
        "job": pa.string(),
        "dataset": pa.string(),
        "state": pa.string(),
        "stage": pa.string(),
        "progress": pa.string(),
        "eta": pa.string(),
        "started": pa.string(),
        "last_seen": pa.string(),
        "host": pa.string(),
        "said": pa.string(),
    }
)


def job_table(storage: Storage, n: int) -> pa.Table:
    """Return the last `n` jobs and all live ones, in the columns of `STATUS`."""
    now, found = storage.now(), read_jobs(storage)
    rows = {job.record.job_id: _row(job, now) for job in found.jobs}
    rows |= {stem(file.path): _unreadable(file, now) for file in found.unreadable}
    alive = {record.job_id for record in found.alive(now)}
    newest = sorted(rows, reverse=True)
    listed = [rows[job] for i, job in enumerate(newest) if i < n or job in alive]
    return pa.Table.from_pylist(listed, schema=STATUS)


def _row(job: Job, now: datetime) -> dict[str, str]:
    record, alive = job.record, job.is_alive(now)
    counted = f"{record.done}/{record.total} {plural(record.total, record.unit)}"
    return {
        "job_id": record.job_id,
        "job": record.job,
        "dataset": record.dataset,
        "state": "lost" if record.state == "running" and not alive else record.state,
        "stage": record.stage,
        "progress": counted if record.stage else "",
        "eta": clock(record.eta_s) if alive and record.eta_s is not None else "",
        "started": f"{datetime.fromisoformat(record.started_at):%Y-%m-%d %H:%M:%SZ}",
        "last_seen": _ago(job.written, now),
        "host": record.host,
        "said": record.said,
    }


def _unreadable(file: Unreadable, now: datetime) -> dict[str, str]:
    return {
        "job_id": stem(file.path),
        "state": "unreadable",
        "last_seen": _ago(file.written, now),
        "said": file.why,
    }


def _ago(written: datetime, now: datetime) -> str:
    return f"{clock(max(0.0, (now - written).total_seconds()))} ago"
