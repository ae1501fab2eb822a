"""`protoscore vacuum`: remove what no published scores and no job can need any more.

Everything it removes can be made again or was never finished: it costs time, never data.
"""

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ray_jobs.jobs.job_record import VACUUM, live_jobs
from ray_jobs.jobs.lease import writing_job
from ray_jobs.terminal.console import default_store, parse_flags
from scoring.errors import UserError
from scoring.store.storage import Storage, StoredFile
from scoring.tables.delta import expire
from scoring.tables.leftovers import TABLE_NAMES, leftovers


@dataclass(frozen=True, kw_only=True)
class VacuumFlags:
    """Remove staged scores, logits, runs and shards that nothing published needs, and orphans."""

    older_than_days: float = 30.0
    """Keep whatever was written in the last days, needed or not."""
    dry_run: bool = False
    """Only list what would be removed."""
    store: str = field(default_factory=default_store)
    """A folder or s3://bucket/prefix; default: PROTOSCORE_STORE, else ./store."""


def main(argv: Sequence[str] | None = None) -> int:
    """Remove leftovers; returns the exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    started = datetime.now(UTC)
    flags = parse_flags(VacuumFlags, args, "protoscore vacuum")
    if not flags.older_than_days >= 0:
        raise UserError(f"--older-than-days: expected 0 or more, got {flags.older_than_days}")
    storage = Storage(flags.store)
    storage.check(writable=not flags.dry_run)
    before = started - timedelta(days=flags.older_than_days)
    if flags.dry_run:
        print(_report("Would remove", leftovers(storage, before), _expire(storage, dry_run=True)))
        return 0
    command = shlex.join(["protoscore", "vacuum", *args])
    with writing_job(storage, VACUUM, command=command, started=started):
        _refuse_beside_others(storage)
        found = leftovers(storage, before)
        storage.remove(file.path for files in found.values() for file in files)
        expired = _expire(storage, dry_run=False)
    print(_report("Removed", found, expired))
    return 0


def _refuse_beside_others(storage: Storage) -> None:
    """What a live job has just made, or counts on, would look like a leftover.

    Raises:
        UserError: another job may be at work.
    """
    others = [job for job in live_jobs(storage) if job.job != VACUUM]
    if others:
        names = ", ".join(f"{job.job} {job.job_id} on {job.host}" for job in others)
        raise UserError(
            f"--store: expected no job at work on {storage.uri}, got {names}; try again when it "
            "has ended (protoscore status)"
        )


def _expire(storage: Storage, *, dry_run: bool) -> int:
    """Data files of versions that are past the tables' retention of a year."""
    return sum(len(expire(storage, name, dry_run=dry_run)) for name in TABLE_NAMES)


def _report(done: str, found: Mapping[str, Sequence[StoredFile]], expired: int) -> str:
    lines = [
        f"  {folder:<9} {len(files):>7,} files  {sum(file.size for file in files) / 1e6:>10,.1f} MB"
        for folder, files in found.items()
        if files
    ]
    if expired:
        lines.append(f"  {expired} data files of versions older than a year")
    return "\n".join([f"{done}:", *lines] if lines else [f"{done} nothing"])
