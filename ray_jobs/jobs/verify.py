"""Checks every file of a store against the hash that it carries."""

from collections.abc import Iterator, Sequence

from ray_jobs.jobs.lease import writing_job
from ray_jobs.jobs.progress import Progress
from scoring.errors import BadStore, Damaged
from scoring.store.file_kinds import is_twice
from scoring.store.layout import (
    DAMAGED,
    DATASETS,
    FORGOTTEN,
    JOBS,
    REVIEWS,
    STUDIES,
    TABLES,
    TOP_FOLDERS,
    copy_path,
    original_path,
)
from scoring.store.parallel import in_parallel
from scoring.store.records import read_json, write_record
from scoring.store.sealed import check_seal
from scoring.store.storage import Storage
from scoring.tables.delta import open_table
from scoring.tables.heal import damaged_files, take_out
from scoring.tables.leftovers import TABLE_NAMES

_CHECKED = [folder for folder in TOP_FOLDERS if folder not in (DAMAGED, JOBS)]


def verify(storage: Storage) -> list[str]:
    """Check every file of ours; return a line for each that is damaged. Writes nothing."""
    lines = [*_damaged_logs(storage), *_damaged_files(storage)]
    lost = [line for _, line in damaged_files(storage, TABLE_NAMES, budget=0)]
    alone = [] if storage.has_unsealed_files else _without_twin(storage)
    return [*lines, *lost, *map(_missing, alone)]


def mend(storage: Storage, command: str) -> list[str]:
    """Check every file of ours and set damaged ones aside, so that the next night makes them again.

    Copies take the place of what is lost and has one. Data files that are gone leave their tables.

    Args:
        storage: the store.
        command: what the user typed.

    Returns:
        A line for each damaged file.
    """
    lines = _damaged_logs(storage)
    with writing_job(storage, "verify", command=command):
        _damaged_logs(storage)  # now copies take the place of what is damaged
        lines += _damaged_files(storage)
        lost = damaged_files(storage, TABLE_NAMES, budget=0)
        for file, _ in lost:
            take_out(storage, file)
        alone = _without_twin(storage)
        for path in alone:
            other = copy_path(path) if path == original_path(path) else original_path(path)
            write_record(storage, path, read_json(storage, other))
    gone = [] if storage.has_unsealed_files else map(_missing, alone)
    return [*lines, *(line for _, line in lost), *gone]


def mend_log(storage: Storage, name: str, command: str) -> None:
    """Restore damaged entries of a table's log, which a night must read before it plans.

    Args:
        storage: the store.
        name: the table.
        command: what the user typed.

    Raises:
        Damaged: an entry and its copy are damaged.
    """
    try:
        open_table(storage, name)
    except (Damaged, BadStore):
        with writing_job(storage, "verify", command=command):
            open_table(storage, name)


def _damaged_logs(storage: Storage) -> list[str]:
    """Return a line for each table whose log is damaged; a job that may write restores it first."""
    lines = []
    for name in TABLE_NAMES:
        try:
            open_table(storage, name)
        except (Damaged, BadStore) as error:
            lines.append(str(error))
    return lines


def _without_twin(storage: Storage) -> list[str]:
    """Return the paths of records that were written twice and now are there but once."""
    folders = (DATASETS, TABLES, FORGOTTEN, STUDIES, REVIEWS)
    files = [path for folder in folders for path in storage.ours(folder)]
    there = {path for path in files if is_twice(path)}
    twins = {original_path(path) for path in there}
    return sorted({*twins, *map(copy_path, twins)} - there)


def _missing(path: str) -> str:
    return f"--store: expected {path}, got no such file, but its twin"


def _damaged_files(storage: Storage) -> Iterator[str]:
    paths = [path for folder in _CHECKED for path in storage.ours(folder)]
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
