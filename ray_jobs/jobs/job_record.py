"""Job records: one file a job in the store, `jobs/<id>.json`.

While the job lives, its record is a lease that it renews. Afterwards it says how the job ended.
"""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from scoring.store.layout import JOBS, job_path, stem
from scoring.store.records import from_json
from scoring.store.storage import Storage

LEASE = timedelta(minutes=10)  # a job that shows no sign of life for this long counts as dead
VACUUM = "vacuum"

State = Literal["running", "published", "nothing to do", "partly published", "done", "failed"]


@dataclass(frozen=True, kw_only=True)
class JobRecord:
    """A job, as of its last sign of life."""

    job_id: str
    job: str
    """rescore, ingest, explain, evaluate or vacuum."""
    dataset: str
    command: str
    host: str
    pid: int
    started_at: str
    seen_at: str
    """Last sign of life, ISO 8601 in UTC."""
    state: State = "running"
    stage: str = ""
    unit: str = ""
    done: int = 0
    total: int = 0
    eta_s: float | None = None
    """Seconds that the stage still needs; None while unknown."""
    said: str = ""
    """Why it failed, or what it left out, in one line."""

    def lives(self, now: datetime) -> bool:
        """Whether the job may still be at work."""
        return self.state == "running" and now - datetime.fromisoformat(self.seen_at) < LEASE


def new_job_id(now: datetime) -> str:
    """Return an id that no other job has; ids sort by time."""
    return f"{now:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"


def load_jobs(storage: Storage) -> list[JobRecord]:
    """Read the records of all jobs in the store, oldest first."""
    names = sorted(name for name in storage.names(JOBS) if name.endswith(".json"))
    found = storage.read_existing(job_path(stem(name)) for name in names)
    return [from_json(data, JobRecord, path) for path, data in found.items()]


def live_jobs(storage: Storage) -> list[JobRecord]:
    """Read the records of jobs that may be at work, oldest first."""
    now = datetime.now(UTC)
    return [job for job in load_jobs(storage) if job.lives(now)]
