"""Job records: each job that writes to a store has one, `jobs/<id>.json`.

While the job is at work, its record is its lease, which it renews. Afterwards the record says how
the job ended.
"""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from ray_jobs.jobs.account import Account
from scoring.store.layout import JOBS, job_path, stem
from scoring.store.records import read_sound_records
from scoring.store.storage import Storage

LEASE = timedelta(minutes=10)  # a job that has not renewed its lease for this long is dead
VACUUM = "vacuum"

JobState = Literal["running", "published", "nothing to do", "partly published", "done", "failed"]


@dataclass(frozen=True, kw_only=True)
class JobRecord:
    """A job, as of its last sign of life. The fields are the keys of its JSON."""

    job_id: str
    job: str
    """Kind of job: rescore, ingest, explain, evaluate or vacuum."""
    dataset: str
    """Name of the dataset it works on; empty for a vacuum."""
    command: str
    host: str
    pid: int
    started_at: str
    """ISO 8601 in UTC, as is `seen_at`."""
    seen_at: str
    """Last sign of life."""
    state: JobState = "running"
    stage: str = ""
    """Name of the current or last stage; `unit` is what it counts."""
    unit: str = ""
    done: int = 0
    total: int = 0
    eta_s: float | None = None
    """Seconds until the stage ends; None while unknown."""
    said: str = ""
    """One line: why the job failed, or what it left out."""
    account: Account | None = None
    """What it used and how fast it went; None while it lives, and for jobs that are no nights."""

    def is_alive(self, now: datetime) -> bool:
        """Whether the job may still be at work."""
        return self.state == "running" and now - datetime.fromisoformat(self.seen_at) < LEASE


def new_job_id(now: datetime) -> str:
    """Return an id that no other job has; ids sort by time."""
    return f"{now:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"


def load_jobs(storage: Storage) -> list[JobRecord]:
    """Read the records of all jobs, oldest first; those that cannot be read are passed over."""
    names = sorted(name for name in storage.names(JOBS) if name.endswith(".json"))
    paths = [job_path(stem(name)) for name in names]
    return list(read_sound_records(storage, paths, JobRecord).values())


def live_jobs(storage: Storage) -> list[JobRecord]:
    """Read the records of jobs that may be at work, oldest first."""
    now = datetime.now(UTC)
    return [job for job in load_jobs(storage) if job.is_alive(now)]
