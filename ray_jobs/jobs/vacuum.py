"""Removal of files that neither published scores nor jobs need.

All of them can be made again or were never finished: a vacuum costs time, never data.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from ray_jobs.jobs.job_record import VACUUM
from ray_jobs.jobs.lease import Lease, writing_job
from scoring.errors import UserError
from scoring.store.storage import Storage, StoredFile
from scoring.tables.delta import expire
from scoring.tables.leftovers import TABLE_NAMES, leftovers


def vacuum(storage: Storage, age: timedelta, command: str, *, dry_run: bool) -> str:
    """Remove leftovers, and the data files of table versions past their retention of a year.

    Args:
        storage: the store.
        age: younger files stay.
        command: what the user typed.
        dry_run: remove nothing.

    Returns:
        A summary for people.

    Raises:
        UserError: another job may be at work.
    """
    started = datetime.now(UTC)
    if dry_run:
        return _summary(
            "Would remove", leftovers(storage, started - age), _expire(storage, dry_run=True)
        )
    with writing_job(storage, VACUUM, command=command, started=started) as lease:
        _check_alone(storage, lease)
        found = leftovers(storage, started - age)
        storage.remove(file.path for files in found.values() for file in files)
        expired = _expire(storage, dry_run=False)
    return _summary("Removed", found, expired)


def _check_alone(storage: Storage, lease: Lease) -> None:
    """Refuse to go on next to a live job: files that it has just made would look like leftovers."""
    jobs, now = lease.look_around()
    others = [
        f"{job.job} {job.job_id} on {job.host}" for job in jobs.alive(now) if job.job != VACUUM
    ]
    others += [
        f"{file.path}, which cannot be read" for file in jobs.unreadable if file.is_young(now)
    ]
    if others:
        raise UserError(
            f"--store: expected no job at work on {storage.uri}, got {', '.join(others)}; try "
            "again when it has ended (protoscore status)"
        )


def _expire(storage: Storage, *, dry_run: bool) -> int:
    """Remove data files past retention; returns their number."""
    return sum(len(expire(storage, name, dry_run=dry_run)) for name in TABLE_NAMES)


def _summary(done: str, found: Mapping[str, Sequence[StoredFile]], expired: int) -> str:
    lines = [
        f"  {folder:<9} {len(files):>7,} files  {sum(file.size for file in files) / 1e6:>10,.1f} MB"
        for folder, files in found.items()
        if files
    ]
    if expired:
        lines.append(f"  {expired} data files of versions older than a year")
    return "\n".join([f"{done}:", *lines] if lines else [f"{done} nothing"])
