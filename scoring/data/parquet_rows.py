"""Reading Parquet files: footers and columns once a process, rows front to back."""

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
from scoring.store.storage import filesystem

_BATCH_ROWS = 1024
_BATCH_BYTES = 4 << 20
_READ_BYTES = 8 << 20  # of a column at a time, however large its row group


@dataclass(frozen=True, kw_only=True)
class Footer:
    """What a file says of itself."""

    rows: int
    types: Mapping[str, pa.DataType]
    """Column types by name."""


@cache  # a fingerprint stands for the bytes, so an entry never goes stale
def footer(uri: str, file: SourceFile) -> Footer:
    """Rows and columns of a file.

    Raises:
        BadData: it is no Parquet file.
    """
    with _opened(uri, file.path) as parquet:
        schema = parquet.schema_arrow
        return Footer(
            rows=parquet.metadata.num_rows, types=dict(zip(schema.names, schema.types, strict=True))
        )


@cache
def distinct(uri: str, file: SourceFile, column: str) -> frozenset[Any]:
    """The distinct values of a column, None among them where there are nulls.

    Raises:
        BadData: the file cannot be read.
    """
    with _opened(uri, file.path) as parquet:
        return frozenset(pc.unique(parquet.read([column])[column]).to_pylist())


def head(uri: str, file: SourceFile, column: str, rows: int) -> pa.Array:
    """The first values of a column, at most `rows`.

    Raises:
        BadData: the file cannot be read.
    """
    with _opened(uri, file.path) as parquet:
        batch = next(parquet.iter_batches(rows, columns=[column]), None)
        return pa.array([]) if batch is None else batch.column(0)


class RowReader:
    """Rows of one file, in pieces.

    Keeps its place between pieces: those that follow one another are read in one pass, so that a
    large row group is not read again for each; and no more than a few batches are in memory.
    """

    def __init__(self, uri: str, path: str, columns: Sequence[str]) -> None:
        self._path, self._columns = path, list(dict.fromkeys(columns))
        self._file = _open(uri, path)
        self._batches: Iterator[pa.RecordBatch] = iter(())
        self._rest: pa.RecordBatch | None = None
        self._at = -1
        self._lock = threading.Lock()

    def rows(self, start: int, rows: int) -> pa.Table:
        """Rows [start, start + rows), fewer where the file ends before.

        Raises:
            BadData: the file cannot be read.
        """
        with self._lock, _one_line(self._path):
            try:
                self._seek(start)
                found = list(self._advance(rows))
            except BaseException:
                self._at = -1  # where a failed read left off, nobody knows
                raise
        return pa.Table.from_batches(found) if found else self._file.schema_arrow.empty_table()

    def _seek(self, start: int) -> None:
        group, first = self._group_of(start)
        if not first <= self._at <= start:
            groups = range(group, self._file.metadata.num_row_groups)
            self._batches = self._file.iter_batches(
                _batch_rows(self._file.metadata), row_groups=groups, columns=self._columns
            )
            self._rest, self._at = None, first
        for _ in self._advance(start - self._at):
            pass

    def _group_of(self, row: int) -> tuple[int, int]:
        """The row group that holds `row`, and its first row."""
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
            self._at += len(part)
            rows -= len(part)
            yield part


def _batch_rows(metadata: pq.FileMetaData) -> int:
    """As many rows as make a batch of a few megabytes."""
    groups = range(metadata.num_row_groups)
    size: int = sum(metadata.row_group(group).total_byte_size for group in groups)
    rows: int = metadata.num_rows
    return max(1, min(_BATCH_ROWS, _BATCH_BYTES * rows // max(1, size)))


@lru_cache(maxsize=1)
def reader(uri: str, path: str, fingerprint: str, columns: tuple[str, ...]) -> RowReader:
    """The reader of a file, the same one for all its pieces.

    Raises:
        BadData: it is no Parquet file.
    """
    del fingerprint  # a changed file needs a new reader
    return RowReader(uri, path, columns)


@contextmanager
def _opened(uri: str, path: str) -> Iterator[pq.ParquetFile]:
    with _one_line(path):
        file = _open(uri, path)
        try:
            yield file
        finally:
            file.close(force=True)


def _open(uri: str, path: str) -> pq.ParquetFile:
    fs, _ = filesystem(uri)
    # No cache: Arrow asks for what it needs, and s3fs would read 50 MB ahead of each request.
    with _one_line(path):
        return pq.ParquetFile(
            fs.open(path, "rb", cache_type="none"), pre_buffer=False, buffer_size=_READ_BYTES
        )


@contextmanager
def _one_line(path: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        reason = str(error).strip().split("\n")[0]
        raise BadData(f"expected a readable Parquet file, got {path!r}: {reason}") from error
