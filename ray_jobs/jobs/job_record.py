"""Job records: each job that writes to a store has one, `jobs/<id>.json`.

While the job is at work, its record is its lease, which it renews. Afterwards the record says how
the job ended.

Clocks of machines differ, so no job's time is compared with another's. A record's age is measured
between two moments of the store's own clock: when the record was written, and when the reader wrote
one.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from ray_jobs.jobs.account import Account
from ray_jobs.jobs.process_identity import Process
from scoring.errors import ProtoscoreError
from scoring.store.layout import JOBS
from scoring.store.parallel import in_parallel
from scoring.store.records import read_record
from scoring.store.storage import Storage

LEASE = timedelta(minutes=10)  # a job that has not renewed its lease for this long is dead
VACUUM = "vacuum"
FORGET = "forget"
ALONE = (VACUUM, FORGET)
"""Jobs that remove files: they run only while no other job does."""

JobState = Literal[
    "running", "published", "nothing to do", "partly published", "done", "failed", "stopped"
]


@dataclass(frozen=True, kw_only=True)
class JobRecord:
    """A job, as of its last sign of life. The fields are the keys of its JSON."""

    job_id: str
    job: str
    """Kind of job: rescore, ingest, explain, evaluate, export, report, study, review, verify,
    forget or vacuum."""
    dataset: str
    """Name of the dataset it works on; empty for a vacuum."""
    command: str
    host: str
    pid: int
    pid_space: str = ""
    """Where the pid counts, and when its process started: see `process_identity`."""
    pid_started: str = ""
    started_at: str
    """ISO 8601 in UTC, by the job's own clock, as is `seen_at`."""
    seen_at: str
    """Last sign of life."""
    state: str = "running"
    """A `JobState`; a later version may know more."""
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

    def __post_init__(self) -> None:
        for moment in (self.started_at, self.seen_at):
            if datetime.fromisoformat(moment).tzinfo is None:
                raise ValueError(f"no time in UTC, but {moment!r}")


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job as others see it."""

    record: JobRecord
    written: datetime
    """When the record was last written, by the store's clock."""

    def is_alive(self, now: datetime) -> bool:
        """Whether the job may still be at work.

        Args:
            now: by the store's clock.
        """
        if self.record.state != "running":
            return False
        known = Process(
            pid=self.record.pid, space=self.record.pid_space, started=self.record.pid_started
        ).is_alive()
        return now - self.written < LEASE if known is None else known


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """A file among the job records that this version cannot read."""

    path: str
    why: str
    written: datetime

    def is_young(self, now: datetime) -> bool:
        """Whether it may be the lease of a job at work; `now` is by the store's clock."""
        return now - self.written < LEASE

    def __str__(self) -> str:
        return f"passed over {self.path}: {self.why}"


@dataclass(frozen=True, kw_only=True)
class Jobs:
    """All jobs of a store, oldest first."""

    jobs: Sequence[Job]
    unreadable: Sequence[Unreadable]

    def written(self, job_id: str) -> datetime | None:
        """Return when a job's record was last written; None if there is none."""
        return next((job.written for job in self.jobs if job.record.job_id == job_id), None)

    def alive(self, now: datetime) -> list[JobRecord]:
        """Return the jobs that may be at work; `now` is by the store's clock."""
        return [job.record for job in self.jobs if job.is_alive(now)]


def new_job_id(now: datetime) -> str:
    """Return an id that no other job has; ids sort by time."""
    return f"{now:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"


def read_jobs(storage: Storage) -> Jobs:
    """Read the records of all jobs; what cannot be read stops nobody."""
    files = {file.path: file.modified for file in storage.walk(JOBS)}

    def read(path: str) -> Job | Unreadable | None:
        try:
            record = read_record(storage, path, JobRecord)
        except FileNotFoundError:  # removed meanwhile
            return None
        except ProtoscoreError as error:
            return Unreadable(path=path, why=str(error), written=files[path])
        return Job(record=record, written=files[path])

    found = list(in_parallel(read, sorted(path for path in files if path.endswith(".json"))))
    jobs = [job for job in found if isinstance(job, Job)]
    return Jobs(
        jobs=sorted(jobs, key=lambda job: job.record.started_at),  # ids have seconds alone
        unreadable=[file for file in found if isinstance(file, Unreadable)],
    )


def load_jobs(storage: Storage) -> list[JobRecord]:
    """Read the records of all jobs, oldest first."""
    return [job.record for job in read_jobs(storage).jobs]
