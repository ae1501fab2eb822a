"""The lease of a job that writes to a store.

A thread renews the job's record. A vacuum or a forget, which remove files, first write their own
record and then refuse to go on if another job is at work. Every other job first writes its own
record and then waits until neither is at work. So whichever comes second sees the first.
"""

import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ray_jobs.jobs.account import Account
from ray_jobs.jobs.job_record import ALONE, JobRecord, Jobs, JobState, new_job_id, read_jobs
from ray_jobs.jobs.process_identity import this_process
from ray_jobs.jobs.progress import Stage, observing
from ray_jobs.terminal.say import note
from scoring.errors import Outage, PartlyPublished, Terminated, UserError
from scoring.store.layout import job_path
from scoring.store.mark import ensure_marked
from scoring.store.outages import known
from scoring.store.records import write_record
from scoring.store.retries import patience
from scoring.store.storage import Storage

RENEW_S = 20.0
_POLL_S = 1.0
_LAST_WORD_S = 10.0  # how long a job that has ended tries to say so
_COARSE = timedelta(seconds=1)  # object storage rounds times to seconds


class Lease:
    """A job's hold on the store, from `writing_job`."""

    waited = False
    """Whether files were removed since the job began, by a vacuum or a forget, so that plans may be
    out of date."""

    def __init__(self, storage: Storage, record: JobRecord) -> None:
        self._storage = storage
        self._record = record
        self._outcome: tuple[JobState, str] = ("done", "")
        self._named: set[str] = set()

    def end(self, state: JobState, said: str = "") -> None:
        """Set the outcome to be recorded when the lease ends; `said` is one line about it."""
        self._outcome = state, said

    def account(self, account: Account) -> None:
        """Record what the job used and how fast it went."""
        self._record = replace(self._record, account=account)

    def look_around(self) -> tuple[Jobs, datetime]:
        """Read all jobs, and the time by the store's clock: that of this job's own record.

        Files that cannot be read are named on stderr, each once.
        """
        jobs = read_jobs(self._storage)
        for file in jobs.unreadable:
            if file.path not in self._named:
                self._named.add(file.path)
                note(str(file))
        return jobs, jobs.written(self._record.job_id) or datetime.now(UTC)

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

    def _try_to_write(self, state: JobState = "running", said: str = "") -> None:
        """Write the record if the store is there: its absence must neither end nor mask a job."""
        try:
            self._write(state, said)
        except Exception as error:
            why = known(error) or type(error).__name__
            note(f"the job's record could not be written: {why}")

    @contextmanager
    def _renewing(self) -> Iterator[None]:
        ended = threading.Event()

        def renew() -> None:
            while not ended.wait(RENEW_S):
                with patience(0):  # it is written again soon, and must not be after the end
                    self._try_to_write()

        thread = threading.Thread(target=renew, name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def check_alone(self, beside: str = "") -> None:
        """Refuse to remove files next to a live job, which may be about to use them.

        Args:
            beside: a kind of job that does no harm.

        Raises:
            UserError: another job may be at work.
        """
        jobs, now = self.look_around()
        others = [
            f"{job.job} {job.job_id} on {job.host}"
            for job in jobs.alive(now)
            if job.job != beside and job.job_id != self._record.job_id
        ]
        others += [
            f"{file.path}, which cannot be read" for file in jobs.unreadable if file.is_young(now)
        ]
        if others:
            raise UserError(
                f"--store: expected no job at work on {self._storage.uri}, got "
                f"{', '.join(others)}; try again when it has ended (protoscore status)"
            )

    def refuse_old_plans(self) -> None:
        """Refuse to go on with what was read from the store before the job waited.

        Raises:
            Outage: it waited; run the command again.
        """
        if self.waited:
            raise Outage(
                f"--store: expected {self._storage.uri} as it was when this command began, got one "
                "that files were removed from meanwhile; run the command again"
            )

    def _wait_for_removals(self, planned_for: timedelta) -> None:
        """Wait until neither a vacuum nor a forget is at work.

        Args:
            planned_for: how long before this lease the job began to plan.
        """
        if self._record.job in ALONE:
            return
        jobs, now = self.look_around()
        began = now - planned_for - (timedelta() if now.microsecond else _COARSE)
        removals = [job for job in jobs.jobs if job.record.job in ALONE]
        self.waited = any(job.written >= began for job in removals)
        if alive := [job.record.job for job in removals if job.is_alive(now)]:
            note(f"waiting for a {alive[0]} of this store to end")
            self.waited = True
            while any(job.job in ALONE for job in jobs.alive(now)):
                time.sleep(_POLL_S)
                jobs, now = self.look_around()


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

    Waits until no vacuum and no forget is at work, and records how the block ended.

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
    plans_within_it = started is None
    started = started or datetime.now(UTC)
    process = this_process()
    record = JobRecord(
        job_id=job_id or new_job_id(started),
        job=kind,
        dataset=dataset,
        command=command,
        host=platform.node(),
        pid=process.pid,
        pid_space=process.space,
        pid_started=process.started,
        started_at=_to_text(started),
        seen_at=_to_text(started),
    )
    lease = Lease(storage, record)
    lease._write()
    mended_before, storage.mends = storage.mends, True
    planned_for = timedelta() if plans_within_it else datetime.now(UTC) - started
    try:
        with observing(lease._observe), lease._renewing():
            lease._wait_for_removals(planned_for)
            yield lease
    except PartlyPublished as error:
        lease.end("partly published", str(error))
        raise
    except KeyboardInterrupt as error:
        lease.end("stopped", "SIGTERM" if isinstance(error, Terminated) else "Ctrl-C")
        raise
    except BaseException as error:
        lease.end("failed", _reason(error))
        raise
    finally:
        with patience(_LAST_WORD_S):
            lease._try_to_write(*lease._outcome)
        storage.mends = mended_before


def _reason(error: BaseException) -> str:
    """Return what may be written down: our own errors hold no secrets, others might."""
    ours = known(error)
    return str(ours) if ours else type(error).__name__


def _to_text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
