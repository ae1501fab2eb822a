"""The lease of a job that writes to a store.

A thread renews the job's record. A vacuum, which removes files, first writes its own record and
then refuses to go on if another job is at work. Every other job first writes its own record and
then waits until no vacuum is at work. So whichever comes second sees the first.
"""

import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from ray_jobs.jobs.account import Account
from ray_jobs.jobs.job_record import (
    VACUUM,
    JobRecord,
    JobState,
    live_jobs,
    load_jobs,
    new_job_id,
)
from ray_jobs.jobs.progress import Stage, observing
from ray_jobs.terminal.say import note
from scoring.errors import PartlyPublished, ProtoscoreError
from scoring.logs import logger
from scoring.store.layout import job_path
from scoring.store.mark import ensure_marked
from scoring.store.records import write_record
from scoring.store.storage import Storage

RENEW_S = 20.0
_POLL_S = 1.0
_log = logger(__name__)


class Lease:
    """A job's hold on the store, from `writing_job`."""

    waited = False
    """Whether a vacuum has been at work since the job began, so that plans may be out of date."""

    def __init__(self, storage: Storage, record: JobRecord) -> None:
        self._storage = storage
        self._record = record
        self._outcome: tuple[JobState, str] = ("done", "")

    def end(self, state: JobState, said: str = "") -> None:
        """Set the outcome to be recorded when the lease ends; `said` is one line about it."""
        self._outcome = state, said

    def account(self, account: Account) -> None:
        """Record what the job used and how fast it went."""
        self._record = replace(self._record, account=account)

    def _observe(self, stage: Stage) -> None:
        self._record = replace(
            self._record,
            stage=stage.name,
            unit=stage.unit,
            done=stage.done,
            total=stage.total,
            eta_s=stage.eta_s,
        )

    def _write(self, state: JobState = "running", said: str = "") -> None:
        now = _to_text(datetime.now(UTC))
        record = replace(self._record, seen_at=now, state=state, said=said)
        write_record(self._storage, job_path(record.job_id), record)

    @contextmanager
    def _renewing(self) -> Iterator[None]:
        ended = threading.Event()

        def renew() -> None:
            while not ended.wait(RENEW_S):
                try:
                    self._write()
                except Exception:  # a store that is away for a while must not end the job
                    _log.warning("the job's record could not be renewed", exc_info=True)

        thread = threading.Thread(target=renew, name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _wait_for_vacuum(self) -> None:
        if self._record.job == VACUUM:
            return
        vacuums = [job for job in load_jobs(self._storage) if job.job == VACUUM]
        self.waited = any(job.seen_at >= self._record.started_at for job in vacuums)
        now = datetime.now(UTC)
        if any(job.is_alive(now) for job in vacuums):
            note("waiting for a vacuum of this store to end")
            self.waited = True
        while any(job.job == VACUUM for job in live_jobs(self._storage)):
            time.sleep(_POLL_S)


@contextmanager
def writing_job(
    storage: Storage,
    kind: str,
    *,
    command: str,
    dataset: str = "",
    job_id: str | None = None,
    started: datetime | None = None,
) -> Iterator[Lease]:
    """Hold a lease for the length of the block. Every job that writes to a store goes through it.

    Waits until no vacuum is at work, and records how the block ended.

    Args:
        storage: the store.
        kind: of job, such as "rescore".
        command: what the user typed.
        dataset: name of the dataset the job works on.
        job_id: default: a new one.
        started: when the job began to plan, from when on `Lease.waited` counts vacuums; default:
            now.
    """
    ensure_marked(storage)
    started = started or datetime.now(UTC)
    record = JobRecord(
        job_id=job_id or new_job_id(started),
        job=kind,
        dataset=dataset,
        command=command,
        host=platform.node(),
        pid=os.getpid(),
        started_at=_to_text(started),
        seen_at=_to_text(started),
    )
    lease = Lease(storage, record)
    lease._write()
    storage.mends = True
    try:
        with observing(lease._observe), lease._renewing():
            lease._wait_for_vacuum()
            yield lease
    except PartlyPublished as error:
        lease.end("partly published", str(error))
        raise
    except BaseException as error:
        lease.end("failed", _reason(error))
        raise
    finally:
        lease._write(*lease._outcome)


def _reason(error: BaseException) -> str:
    """Return what may be written down: our own errors hold no secrets, others might."""
    return str(error) if isinstance(error, ProtoscoreError) else type(error).__name__


def _to_text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
