"""The jobs of a store as a table, newest first."""

from datetime import UTC, datetime

import pyarrow as pa

from ray_jobs.jobs.job_record import JobRecord, load_jobs
from ray_jobs.jobs.progress import clock, plural
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
    now = datetime.now(UTC)
    jobs = load_jobs(storage)[::-1]
    listed = [job for i, job in enumerate(jobs) if i < n or job.is_alive(now)]
    return pa.Table.from_pylist([_row(job, now) for job in listed], schema=STATUS)


def _row(job: JobRecord, now: datetime) -> dict[str, str]:
    alive = job.is_alive(now)
    since_seen = now - datetime.fromisoformat(job.seen_at)
    return {
        "job_id": job.job_id,
        "job": job.job,
        "dataset": job.dataset,
        "state": "lost" if job.state == "running" and not alive else job.state,
        "stage": job.stage,
        "progress": f"{job.done}/{job.total} {plural(job.total, job.unit)}" if job.stage else "",
        "eta": clock(job.eta_s) if alive and job.eta_s is not None else "",
        "started": f"{datetime.fromisoformat(job.started_at):%Y-%m-%d %H:%M:%SZ}",
        "last_seen": f"{clock(since_seen.total_seconds())} ago",
        "host": job.host,
        "said": job.said,
    }
