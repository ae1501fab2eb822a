"""What a job says of itself in the store: a lease while it lives, an account of it afterwards.

Every job that writes to a store keeps one file there, `jobs/<id>.json`, renewed from a thread of
its own. Vacuum, which removes things, first leaves its record and then looks for other jobs; every
other job leaves its record and then waits while a vacuum is under way. So whichever comes second
sees the first.
"""

import json
import logging
import os
import platform
import sys
import threading
import time
import uuid
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Literal

from ray_jobs.jobs.progress import Stage, observing
from scoring.errors import PartlyPublished, ProtoscoreError
from scoring.store.storage import Storage

RENEW_S = 20.0
LEASE = timedelta(minutes=10)  # without a sign of life for so long, a job is taken for dead
VACUUM = "vacuum"
_FOLDER = "jobs"
_POLL_S = 1.0
_log = logging.getLogger(__name__)

State = Literal["running", "published", "nothing to do", "partly published", "done", "failed"]


@dataclass(frozen=True, kw_only=True)
class JobRecord:
    """A job, as its last sign of life had it."""

    job_id: str
    job: str
    """rescore, ingest or vacuum."""
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
        """Whether it may still be at work."""
        return self.state == "running" and now - datetime.fromisoformat(self.seen_at) < LEASE


def new_job_id(now: datetime) -> str:
    """Sorts by time; no other job shares it."""
    return f"{now:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"


def load_jobs(storage: Storage) -> list[JobRecord]:
    """Every job that the store remembers, oldest first."""
    names = sorted(name for name in storage.names(_FOLDER) if name.endswith(".json"))
    found = storage.read_existing(f"{_FOLDER}/{name}" for name in names)
    return [JobRecord(**json.loads(data)) for data in found]


def live_jobs(storage: Storage) -> list[JobRecord]:
    """Jobs that may be at work, oldest first."""
    now = datetime.now(UTC)
    return [job for job in load_jobs(storage) if job.lives(now)]


class Lease:
    """Keeps the record of this job; use it as a context manager around all that writes."""

    def __init__(
        self,
        storage: Storage,
        job: str,
        *,
        job_id: str,
        started: datetime,
        command: str,
        dataset: str = "",
    ) -> None:
        self._storage = storage
        self._record = JobRecord(
            job_id=job_id,
            job=job,
            dataset=dataset,
            command=command,
            host=platform.node(),
            pid=os.getpid(),
            started_at=_text(started),
            seen_at=_text(started),
        )
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)
        self._observing = observing(self._observe)
        self.waited = False
        """Whether a vacuum was at work since the job began: what was planned may be gone."""

    def __enter__(self) -> "Lease":
        """Leave the record, then wait while a vacuum is under way."""
        self._write()
        self._thread.start()
        self._observing.__enter__()
        self._wait_for_vacuum()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the account of what came of it."""
        self._observing.__exit__(kind, error, traceback)
        self._ended.set()
        self._thread.join()
        if isinstance(error, PartlyPublished):
            self.end("partly published", str(error))
        elif error is not None:
            self.end("failed", _reason(error))
        elif self._record.state == "running":
            self.end("done")
        self._write()

    def end(self, state: State, said: str = "") -> None:
        """Say what came of the job; it is written when the lease ends."""
        self._record = replace(self._record, state=state, said=said)

    def _observe(self, stage: Stage) -> None:
        self._record = replace(
            self._record,
            stage=stage.name,
            unit=stage.unit,
            done=stage.done,
            total=stage.total,
            eta_s=stage.eta_s,
        )

    def _renew(self) -> None:
        while not self._ended.wait(RENEW_S):
            try:
                self._write()
            except Exception:  # a store that is away for a while must not end the job
                _log.warning("the job's record could not be renewed", exc_info=True)

    def _write(self) -> None:
        record = replace(self._record, seen_at=_text(datetime.now(UTC)))
        data = json.dumps(asdict(record), indent=1).encode()
        self._storage.write(f"{_FOLDER}/{record.job_id}.json", data)

    def _wait_for_vacuum(self) -> None:
        if self._record.job == VACUUM:
            return
        vacuums = [job for job in load_jobs(self._storage) if job.job == VACUUM]
        self.waited = any(job.seen_at >= self._record.started_at for job in vacuums)
        now = datetime.now(UTC)
        if any(job.lives(now) for job in vacuums):
            print("waiting for a vacuum of this store to end", file=sys.stderr, flush=True)
            self.waited = True
        while any(job.job == VACUUM for job in live_jobs(self._storage)):
            time.sleep(_POLL_S)


def _reason(error: BaseException) -> str:
    """What may be told: our own errors are one line without secrets, others only have a name."""
    return str(error) if isinstance(error, ProtoscoreError) else type(error).__name__


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
