"""Takes damaged data files out of the tables, so that the rest can be read and a night mends them.

A partition of `scores` whose file is gone is not published, so the next night publishes it again.
What a lost file of another table held is lost, and named.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from deltalake import DeltaTable

from scoring.errors import Damaged
from scoring.store.layout import table_path
from scoring.store.parallel import in_parallel
from scoring.store.sealed import check_seal
from scoring.store.storage import Storage
from scoring.tables.delta import Change, commit, files, open_table, removal


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """A data file of the newest version of a table."""

    table: str
    path: str
    """In the table."""
    size: int
    """Bytes."""

    @property
    def stored_at(self) -> str:
        """Path in the store."""
        return table_path(self.table, self.path)


def data_files(storage: Storage, tables: Iterable[str]) -> list[DataFile]:
    """List the data files of the newest versions of tables."""
    return [
        DataFile(table=name, path=file["path"], size=int(file["size_bytes"]))
        for name in tables
        if (table := open_table(storage, name)) is not None
        for file in files(table)
    ]


def take_out_damaged(
    storage: Storage, tables: Iterable[str], budget: float
) -> Iterator[tuple[DataFile, str]]:
    """Check data files, smallest first, and take those that fail out of their tables.

    Args:
        storage: the store; the job holds a lease.
        tables: names of the tables.
        budget: most bytes to read. Of files beyond it, only the existence is checked.

    Yields:
        Each file taken out, and what is wrong with it in one line.
    """
    ordered = sorted(data_files(storage, tables), key=lambda file: file.size)
    whole = []
    for file in ordered:
        budget -= file.size
        whole.append(budget >= 0)
    faults = in_parallel(lambda pair: _fault(storage, *pair), zip(ordered, whole, strict=True))
    damaged = [(file, fault) for file, fault in zip(ordered, faults, strict=True) if fault]
    for file, fault in damaged:
        _take_out(storage, file)
        yield file, fault


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


def _take_out(storage: Storage, file: DataFile) -> None:
    def prepare(table: DeltaTable) -> Change | None:
        old = [found for found in files(table) if found["path"] == file.path]
        return Change(adds=[], removes=[removal(found) for found in old]) if old else None

    commit(storage, file.table, prepare)
