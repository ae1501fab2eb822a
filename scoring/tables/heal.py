"""Finds damaged data files of the tables, and takes them out.

A night publishes anew what a lost file of `scores` held. What a file of another table held is lost,
unless a night's record still has it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from deltalake import DeltaTable

from scoring.errors import BadStore, Damaged
from scoring.logs import logger
from scoring.store.layout import table_path
from scoring.store.parallel import in_parallel
from scoring.store.sealed import check_seal
from scoring.store.storage import Storage
from scoring.tables.commit import Change, commit, removal
from scoring.tables.delta import files, open_table, values_of

_log = logger(__name__)


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """A data file of the newest version of a table."""

    table: str
    path: str
    """In the table."""
    partition: Mapping[str, str]
    """Partition column to value."""
    size: int
    """Bytes."""

    @property
    def stored_at(self) -> str:
        """Path in the store."""
        return table_path(self.table, self.path)


def damaged_files(
    storage: Storage, tables: Iterable[str], budget: float
) -> list[tuple[DataFile, str]]:
    """Check the data files of the newest versions of tables, smallest first.

    A table whose log is damaged is passed over with a warning.

    Args:
        storage: the store. If the job may write, damaged files are set aside.
        tables: names of the tables.
        budget: most bytes to read. Of files beyond it, only the existence is checked.

    Returns:
        Each damaged or missing file, and what is wrong with it in one line.
    """
    found = [file for name in tables for file in _data_files(storage, name)]
    ordered = sorted(found, key=lambda file: file.size)
    whole = []
    for file in ordered:
        budget -= file.size
        whole.append(budget >= 0)
    faults = in_parallel(lambda pair: _fault(storage, *pair), zip(ordered, whole, strict=True))
    return [(file, fault) for file, fault in zip(ordered, faults, strict=True) if fault]


def _data_files(storage: Storage, name: str) -> list[DataFile]:
    try:
        table = open_table(storage, name)
    except (Damaged, BadStore) as error:
        _log.warning("%s", error)
        return []
    return [_data_file(name, file) for file in files(table)] if table else []


def _data_file(table: str, file: Mapping[str, str]) -> DataFile:
    return DataFile(
        table=table, path=file["path"], size=int(file["size_bytes"]), partition=values_of(file)
    )


def _fault(storage: Storage, file: DataFile, whole: bool) -> str:
    try:
        if whole:
            check_seal(storage, file.stored_at)
        elif not storage.exists(file.stored_at):
            raise FileNotFoundError
    except FileNotFoundError:
        return f"--store: expected {file.stored_at}, got no such file"
    except Damaged as error:
        return str(error)
    return ""


def take_out(storage: Storage, file: DataFile) -> None:
    """Take a damaged file out of its table, so that the rest of the table can be read."""

    def prepare(table: DeltaTable) -> Change | None:
        old = [found for found in files(table) if found["path"] == file.path]
        return Change(adds=[], removes=[removal(found) for found in old]) if old else None

    commit(storage, file.table, prepare)
