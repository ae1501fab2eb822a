"""The data files of a store as a filesystem that DuckDB reads: checked, and nothing else."""

import io
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pyarrow as pa
from fsspec.spec import AbstractFileSystem

from scoring.errors import Damaged, UserError
from scoring.store.checked_file import CheckedFile
from scoring.store.file_kinds import table_of
from scoring.store.layout import EXPLANATIONS
from scoring.store.parquet import check_columns
from scoring.store.storage import Storage
from scoring.tables.schemas import DATA_SCHEMAS, REPRESENTERS, without_added

PROTOCOL = "store"
_NEVER = datetime(2000, 1, 1, tzinfo=UTC)  # when data files change, as a time to be cached by


def data_uri(path: str) -> str:
    """Return the URI by which DuckDB knows a data file of the store."""
    return f"{PROTOCOL}://{path}"


class DataFiles(AbstractFileSystem):  # type: ignore[misc] # fsspec ships no types
    """The Parquet files of a query's views, to be read only.

    DuckDB words errors of Python anew, with a traceback in the text; `failure` keeps the first.
    """

    protocol = PROTOCOL
    cachable = False

    def __init__(self, storage: Storage) -> None:
        super().__init__()
        self.failure: BaseException | None = None
        self.storage = storage
        self._allowed: set[str] = set()
        self._files: dict[str, CheckedFile] = {}

    def allow(self, paths: Iterable[str]) -> None:
        """Let files be read; all others do not exist."""
        self._allowed.update(paths)

    def names(self) -> str:
        """Name the files that were opened."""
        return ", ".join(sorted(self._files))

    def info(self, path: str, **_: object) -> dict[str, object]:
        """Describe a file."""
        with self.keeping_failures():
            return {"name": path, "size": self._file(path).size, "type": "file"}

    def modified(self, path: str) -> datetime:
        """Return the same for every file: data files are never rewritten."""
        return _NEVER

    def glob(self, path: str, **_: object) -> list[str]:
        """Return the path: there are no patterns here."""
        return [path]

    @contextmanager
    def keeping_failures(self) -> Iterator[None]:
        """Keep the first error of a block."""
        try:
            yield
        except BaseException as error:
            self.failure = self.failure or error
            raise

    def _open(self, path: str, mode: str = "rb", **_: object) -> "_Handle":
        with self.keeping_failures():
            if mode != "rb":
                raise UserError(f"query: expected to read {path}, got mode {mode!r}")
            return _Handle(self, self._file(path))

    def _file(self, path: str) -> CheckedFile:
        path = str(self._strip_protocol(path))
        if path not in self._allowed:
            raise UserError(f"query: expected the tables by their names, got {path!r}")
        if path not in self._files:
            self._files[path] = self._checked(path)
        return self._files[path]

    def _checked(self, path: str) -> CheckedFile:
        try:
            file = CheckedFile(self.storage, path, _SharedFile(self.storage, path))
        except FileNotFoundError as error:
            raise Damaged(
                f"--store: expected {path}, got no such file; run verify --mend, then rescore"
            ) from error
        if file.metadata:
            found = file.metadata.schema.to_arrow_schema()
            check_columns(self.storage, path, found, _columns_of(path))
        return file


def _columns_of(path: str) -> pa.Schema:
    """Return the columns that a data file of ours, or a file of staged explanations, has.

    Those that were added later are not among them.
    """
    if path.startswith(f"{EXPLANATIONS}/"):
        return REPRESENTERS
    return without_added(DATA_SCHEMAS.get(table_of(path), pa.schema([])))


class _Place(threading.local):
    """Where a thread is in a file."""

    at = 0


class _SharedFile:
    """A file of the store in which each thread has its own place."""

    def __init__(self, storage: Storage, path: str) -> None:
        self._storage, self._path = storage, path
        self._size = storage.size(path)
        self._place = _Place()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place.at = offset + (self._size if whence == io.SEEK_END else 0)
        return self._place.at

    def read(self, size: int | None = None) -> bytes:
        start = self._place.at
        stop = self._size if size is None else min(self._size, start + size)
        return self._storage.read_range(self._path, start, stop)


class _Handle:
    """An open file. DuckDB's threads share it, and seek before they read: each has its place."""

    closed = False

    def __init__(self, files: DataFiles, file: CheckedFile) -> None:
        self._files, self._file = files, file
        self._place = _Place()

    def seek(self, offset: int) -> None:
        """Move to a byte, counted from the start."""
        self._place.at = offset

    def tell(self) -> int:
        """Return where the next read begins."""
        return self._place.at

    def read(self, size: int) -> bytes:
        """Return the next bytes; fewer at the end of the file."""
        start = self._place.at
        with self._files.keeping_failures():
            data = self._file.read_range(start, min(self._file.size, start + size))
        self._place.at += len(data)
        return data

    def close(self) -> None:
        """Do nothing: a read opens what it needs."""
