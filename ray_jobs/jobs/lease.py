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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from types import TracebackType

from ray_jobs.jobs.job_record import (
    VACUUM,
    JobRecord,
    State,
    live_jobs,
    load_jobs,
    new_job_id,
)
from ray_jobs.jobs.progress import Stage, observing
from scoring.errors import PartlyPublished, ProtoscoreError
from scoring.store.layout import job_path
from scoring.store.storage import Storage

RENEW_S = 20.0
_POLL_S = 1.0
_log = logging.getLogger(__name__)


@contextmanager
def writing_job(
    storage: Storage,
    kind: str,
    *,
    command: str,
    dataset: str = "",
    job_id: str | None = None,
    started: datetime | None = None,
) -> Iterator["Lease"]:
    """Hold a lease on the store for the length of the block; every job that writes goes through it.

    Args:
        storage: the store.
        kind: what the job is, e.g. "rescore".
        command: what the user typed.
        dataset: the dataset that it works on, where it is one.
        job_id: default: a new one.
        started: when it began to plan, so that `waited` covers the plan; default: now.
    """
    started = started or datetime.now(UTC)
    job_id = job_id or new_job_id(started)
    lease = Lease(storage, kind, job_id=job_id, started=started, command=command, dataset=dataset)
    with lease:
        yield lease


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
        self._storage.write(job_path(record.job_id), data)

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
