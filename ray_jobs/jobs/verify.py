"""Checks every file of a store against the hash that it carries."""

from collections.abc import Iterator, Sequence

from ray_jobs.jobs.lease import writing_job
from ray_jobs.jobs.progress import Progress
from scoring.errors import Damaged
from scoring.store.layout import DAMAGED, JOBS, TOP_FOLDERS, is_ours
from scoring.store.parallel import in_parallel
from scoring.store.sealed import check_seal
from scoring.store.storage import Storage
from scoring.tables.heal import take_out_damaged
from scoring.tables.leftovers import TABLE_NAMES
from scoring.tables.log_check import check_entries

_CHECKED = [folder for folder in TOP_FOLDERS if folder not in (DAMAGED, JOBS)]


def verify(storage: Storage) -> list[str]:
    """Check every file of ours; return a line for each that is damaged. Writes nothing."""
    return [*_damaged_logs(storage), *_damaged_files(storage)]


def mend(storage: Storage, command: str) -> list[str]:
    """Check every file of ours and set damaged ones aside, so that the next night makes them again.

    Args:
        storage: the store.
        command: what the user typed.

    Returns:
        A line for each damaged file.

    Raises:
        Damaged: the log of a table is damaged; nothing was set aside.
    """
    with writing_job(storage, "verify", command=command):
        for name in TABLE_NAMES:
            check_entries(storage, name)
        lines = list(_damaged_files(storage))
        gone = [line for _, line in take_out_damaged(storage, TABLE_NAMES, budget=0)]
    return [*lines, *gone]


def _damaged_logs(storage: Storage) -> Iterator[str]:
    for name in TABLE_NAMES:
        try:
            check_entries(storage, name)
        except Damaged as error:
            yield str(error)


def _damaged_files(storage: Storage) -> Iterator[str]:
    paths = [
        file.path
        for folder in _CHECKED
        for file in storage.walk(folder)
        if is_ours(file.path) and not file.is_unfinished
    ]
    with Progress("verify", len(paths), "file") as progress:
        for line in _faults(storage, paths):
            progress.advance()
            if line:
                yield line


def _faults(storage: Storage, paths: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with each file, or ""."""

    def fault(path: str) -> str:
        try:
            check_seal(storage, path)
        except FileNotFoundError:  # removed by a job since it was listed
            return ""
        except Damaged as error:
            return str(error)
        return ""

    return in_parallel(fault, paths)
