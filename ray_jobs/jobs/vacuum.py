"""Removal of files that neither published scores nor jobs need.

All of them can be made again or were never finished: a vacuum costs time, never data.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

from ray_jobs.jobs.job_record import VACUUM
from ray_jobs.jobs.lease import writing_job
from scoring.store.layout import RESERVE
from scoring.store.mark import write_reserve
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
        A summary for people; before a real vacuum also the path of each file.

    Raises:
        UserError: another job may be at work, or the store is not whole.
    """
    started = datetime.now(UTC)
    if dry_run:
        found = leftovers(storage, started - age)
        expired = _expire(storage, dry_run=True)
        names = [file.path for files in found.values() for file in files]
        return "\n".join([*sorted([*names, *expired]), _summary("Would remove", found, expired)])
    with _room(storage), writing_job(storage, VACUUM, command=command, started=started) as lease:
        lease.check_alone(beside=VACUUM)
        found = leftovers(storage, started - age)
        storage.remove(file.path for files in found.values() for file in files)
        expired = _expire(storage, dry_run=False)
    return _summary("Removed", found, expired)


@contextmanager
def _room(storage: Storage) -> Iterator[None]:
    """Make room for the lease, which a full disk lacks; keep it for the next vacuum afterwards."""
    storage.remove([RESERVE])
    try:
        yield
    finally:
        with suppress(OSError):  # the disk is still full
            write_reserve(storage)


def _expire(storage: Storage, *, dry_run: bool) -> list[str]:
    """Remove data files past retention; return their paths."""
    return [path for name in TABLE_NAMES for path in expire(storage, name, dry_run=dry_run)]


def _summary(done: str, found: Mapping[str, Sequence[StoredFile]], expired: Sequence[str]) -> str:
    lines = [
        f"  {folder:<9} {len(files):>7,} files  {sum(file.size for file in files) / 1e6:>10,.1f} MB"
        for folder, files in found.items()
        if files
    ]
    if expired:
        lines.append(f"  {len(expired)} data files of versions older than a year")
    return "\n".join([f"{done}:", *lines] if lines else [f"{done} nothing"])
