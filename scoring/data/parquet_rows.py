"""Read Parquet files: footers and columns once per process, rows front to back."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from scoring.data.files import SourceFile
from scoring.errors import BadData
from scoring.store.filesystems import filesystem

_BATCH_ROWS = 1024
_BATCH_BYTES = 4 << 20
_READ_BYTES = 8 << 20  # read of a column at a time, even from a larger row group


@dataclass(frozen=True, kw_only=True)
class Footer:
    """Row count and columns of a file."""

    rows: int
    types: Mapping[str, pa.DataType]
    """Column types by name."""
    repeated: frozenset[str]
    """Names that several columns have."""


@cache  # the file's fingerprint is part of the cache key, so an entry never goes stale
def footer(uri: str, file: SourceFile) -> Footer:
    """Read a file's footer.

    Raises:
        BadData: it is not a Parquet file.
    """
    with _opened(uri, file.path) as parquet:
        schema = parquet.schema_arrow
        return Footer(
            rows=parquet.metadata.num_rows,
            types=dict(zip(schema.names, schema.types, strict=True)),
            repeated=frozenset(name for name in schema.names if schema.names.count(name) > 1),
        )


@cache
def distinct(uri: str, file: SourceFile, column: str) -> frozenset[Any]:
    """Return the distinct values of a column, including None if it holds nulls.

    Raises:
        BadData: the file cannot be read.
    """
    with _opened(uri, file.path) as parquet:
        return frozenset(pc.unique(parquet.read([column])[column]).to_pylist())


def head(uri: str, file: SourceFile, column: str, rows: int) -> pa.Array:
    """Return the first values of a column, at most `rows`.

    Raises:
        BadData: the file cannot be read.
    """
    with _opened(uri, file.path) as parquet:
        batch = next(parquet.iter_batches(rows, columns=[column]), None)
        return pa.array([]) if batch is None else batch.column(0)


class RowReader:
    """Reads the rows of one file piece by piece.

    It remembers its position, so consecutive pieces are read in one pass and a large row group is
    not read again for every piece. Only a few batches are in memory at a time.
    """

    def __init__(self, uri: str, path: str, columns: Sequence[str]) -> None:
        self._path, self._columns = path, list(dict.fromkeys(columns))
        self._file = _open(uri, path)
        self._batches: Iterator[pa.RecordBatch] = iter(())
        self._rest: pa.RecordBatch | None = None
        self._position = -1
        self._lock = threading.Lock()

    def rows(self, start: int, rows: int) -> pa.Table:
        """Read rows [start, start + rows), or fewer if the file ends earlier.

        Raises:
            BadData: the file cannot be read.
        """
        with self._lock, _as_bad_data(self._path):
            try:
                self._seek(start)
                batches = list(self._advance(rows))
            except BaseException:
                self._position = -1  # unknown after a failed read
                raise
        return pa.Table.from_batches(batches) if batches else self._file.schema_arrow.empty_table()

    def _seek(self, start: int) -> None:
        group, first = self._group_of(start)
        if not first <= self._position <= start:
            groups = range(group, self._file.metadata.num_row_groups)
            self._batches = self._file.iter_batches(
                _batch_rows(self._file.metadata), row_groups=groups, columns=self._columns
            )
            self._rest, self._position = None, first
        for _ in self._advance(start - self._position):
            pass

    def _group_of(self, row: int) -> tuple[int, int]:
        """Return the row group that holds `row`, and its first row."""
        first = 0
        for group in range(self._file.metadata.num_row_groups):
            after = first + self._file.metadata.row_group(group).num_rows
            if row < after:
                return group, first
            first = after
        return self._file.metadata.num_row_groups, first

    def _advance(self, rows: int) -> Iterator[pa.RecordBatch]:
        while rows > 0:
            batch = self._rest if self._rest is not None else next(self._batches, None)
            if batch is None:
                return
            part = batch.slice(0, rows)
            self._rest = batch.slice(len(part)) if len(part) < len(batch) else None
            self._position += len(part)
            rows -= len(part)
            yield part


def _batch_rows(metadata: pq.FileMetaData) -> int:
    """Return how many rows make a batch of a few megabytes."""
    groups = range(metadata.num_row_groups)
    size: int = sum(metadata.row_group(group).total_byte_size for group in groups)
    rows: int = metadata.num_rows
    return max(1, min(_BATCH_ROWS, _BATCH_BYTES * rows // max(1, size)))


@lru_cache(maxsize=1)
def reader(uri: str, path: str, fingerprint: str, columns: tuple[str, ...]) -> RowReader:
    """Return the reader of a file, the same one for all its pieces.

    Raises:
        BadData: it is not a Parquet file.
    """
    del fingerprint  # only part of the cache key: a changed file needs a new reader
    return RowReader(uri, path, columns)


@contextmanager
def _opened(uri: str, path: str) -> Iterator[pq.ParquetFile]:
    with _as_bad_data(path):
        file = _open(uri, path)
        try:
            yield file
        finally:
            file.close(force=True)


def _open(uri: str, path: str) -> pq.ParquetFile:
    fs, _ = filesystem(uri)
    # No cache: Arrow requests exactly what it needs, and s3fs would read 50 MB ahead each time.
    with _as_bad_data(path):
        return pq.ParquetFile(
            fs.open(path, "rb", cache_type="none"), pre_buffer=False, buffer_size=_READ_BYTES
        )


@contextmanager
def _as_bad_data(path: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise BadData(f"expected a readable Parquet file, got {path!r}: {reason}") from error
