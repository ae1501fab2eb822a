"""`protoscore status`: the jobs of a store, those at work and those that ended."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated

import pyarrow as pa
import tyro

from ray_jobs.jobs.job_record import JobRecord, load_jobs
from ray_jobs.jobs.progress import clock
from ray_jobs.terminal.console import default_store, parse_flags
from ray_jobs.terminal.tables import Format, show
from scoring.errors import UserError
from scoring.store.storage import Storage

_STATUS = pa.schema(
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


@dataclass(frozen=True, kw_only=True)
class StatusFlags:
    """Jobs that write to a store: stage, progress and ETA of the live ones, the end of others."""

    n: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 10
    """How many jobs; live ones are always shown."""
    store: str = field(default_factory=default_store)
    """A folder or s3://bucket/prefix; default: PROTOSCORE_STORE, else ./store."""
    format: Format | None = None
    """Default: what the suffix of --output says, else table."""
    output: str = ""
    """A file to write to; default: standard output."""


def main(argv: Sequence[str] | None = None) -> int:
    """List jobs, the last one first."""
    flags = parse_flags(StatusFlags, argv, "protoscore status")
    if flags.n < 0:
        raise UserError(f"-n: expected 0 or more rows, got {flags.n}")
    storage = Storage(flags.store)
    storage.check(writable=False)
    now = datetime.now(UTC)
    jobs = load_jobs(storage)[::-1]
    shown = [job for i, job in enumerate(jobs) if i < flags.n or job.lives(now)]
    rows = [_row(job, now) for job in shown]
    show(pa.Table.from_pylist(rows, schema=_STATUS), flags.format, flags.output)
    return 0


def _row(job: JobRecord, now: datetime) -> dict[str, str]:
    lives = job.lives(now)
    eta = lives and job.eta_s is not None
    return {
        "job_id": job.job_id,
        "job": job.job,
        "dataset": job.dataset,
        "state": "lost" if job.state == "running" and not lives else job.state,
        "stage": job.stage,
        "progress": f"{job.done}/{job.total} {job.unit}s" if job.stage else "",
        "eta": clock(job.eta_s or 0) if eta else "",
        "started": _minute(job.started_at),
        "last_seen": f"{clock((now - datetime.fromisoformat(job.seen_at)).total_seconds())} ago",
        "host": job.host,
        "said": job.said,
    }


def _minute(moment: str) -> str:
    return datetime.fromisoformat(moment).strftime("%Y-%m-%d %H:%M:%SZ")
