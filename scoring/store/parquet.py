"""Parquet files of a store: sealed, and checked even where only parts of them are read.

Besides the seal of the whole file, the footer has a seal of its own, and every column chunk a hash.
The hashes stand before the footer, where other readers do not look:

    PAR1, column chunks | 8 bytes for each chunk | footer with both seals, its length, PAR1
"""

import hashlib
import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from scoring.store.checked_file import (
    FOOTER_BLANK,
    FOOTER_SEAL,
    CheckedFile,
    chunk_hash,
    chunk_ranges,
    footer_with_seal,
    is_of_arrow,
    read_footer,
)
from scoring.store.sealed import BLANK, SEAL, damaged, fill, read_sealed
from scoring.store.storage import Storage

_IN_MEMORY = 64 << 20  # bytes of a file that is being written; a larger one goes to disk first
_PIECE = 8 << 20


def write_parquet(
    storage: Storage,
    path: str,
    table: pa.Table,
    row_group_size: int | None = None,
    **options: Any,  # noqa: ANN401
) -> None:
    """Write a table as a file; it appears whole or not at all.

    Args:
        storage: the store.
        path: of the file.
        table: its rows.
        row_group_size: rows in a row group; None: pyarrow's own choice.
        options: of `pyarrow.parquet.ParquetWriter`; compression is zstd by default.
    """
    buffer = io.BytesIO()
    with _blank_writer(buffer, table.schema, **options) as writer:
        writer.write_table(table, row_group_size)
    _seal(buffer, path)
    storage.write(path, buffer.getvalue())


@contextmanager
def writing_parquet(storage: Storage, path: str, schema: pa.Schema) -> Iterator["RowWriter"]:
    """Write a file of any size, a row group at a time; it appears when the block ends."""
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as buffer:
        with _blank_writer(buffer, schema) as writer:
            rows = RowWriter(writer)
            yield rows
        _seal(buffer, path)
        rows.size = buffer.seek(0, io.SEEK_END)
        buffer.seek(0)
        with storage.writing(path) as file:
            shutil.copyfileobj(buffer, file, _PIECE)


class RowWriter:
    """Writes row groups, and counts rows."""

    rows = 0
    size = 0
    """Bytes of the file, once it is written."""

    def __init__(self, writer: pq.ParquetWriter) -> None:
        self._writer = writer

    def write(self, batch: pa.RecordBatch) -> None:
        """Write a row group."""
        self._writer.write_batch(batch)
        self.rows += len(batch)


def read_parquet(storage: Storage, path: str, schema: pa.Schema) -> pa.Table:
    """Read a whole file.

    Args:
        storage: the store.
        path: of the file.
        schema: the columns that it must have; see `check_columns`.

    Raises:
        FileNotFoundError: there is no such file.
        Damaged: it is not what was written.
    """
    data = read_sealed(storage, path)
    with _naming(storage, path):
        file = pq.ParquetFile(pa.BufferReader(data))
        check_columns(storage, path, file.schema_arrow, schema)
        table = file.read()
    if any(table[field.name].null_count for field in schema if not field.nullable):
        raise damaged(storage, path)
    return table


@contextmanager
def opened_parquet(storage: Storage, path: str, schema: pa.Schema) -> Iterator[pq.ParquetFile]:
    """Open a file to read parts of it.

    Args:
        storage: the store.
        path: of the file.
        schema: the columns that it must have; see `check_columns`.

    Raises:
        FileNotFoundError: there is no such file.
        Damaged: its footer, or a column chunk that is read, is not what was written.
    """
    with storage.open(path) as file:
        checked = CheckedFile(storage, path, file)
        with _naming(storage, path):
            parquet = pq.ParquetFile(checked, metadata=checked.metadata)
            check_columns(storage, path, parquet.schema_arrow, schema)
            yield parquet


def check_columns(storage: Storage, path: str, found: pa.Schema, wanted: pa.Schema) -> None:
    """Refuse a file that lacks a column, has it twice, or has it with another type.

    Args:
        storage: the store.
        path: of the file.
        found: its columns. Others than those wanted are ignored.
        wanted: a list of a fixed size stands for one of any size.

    Raises:
        Damaged: it is such a file.
    """
    for field in wanted:
        at = found.get_all_field_indices(field.name)
        if len(at) != 1 or not _is_type(found.field(at[0]).type, field.type):
            raise damaged(storage, path)


def _is_type(found: pa.DataType, wanted: pa.DataType) -> bool:
    if pa.types.is_fixed_size_list(wanted) and pa.types.is_fixed_size_list(found):
        return bool(found.value_type == wanted.value_type)
    return bool(found == wanted)


@contextmanager
def _naming(storage: Storage, path: str) -> Iterator[None]:
    """Name the file in Arrow's complaints about what is in it."""
    try:
        yield
    except MemoryError:
        raise
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise damaged(storage, path) from error
    except OSError as error:
        if is_of_arrow(error):
            raise damaged(storage, path) from error
        raise


@contextmanager
def _blank_writer(
    file: IO[bytes],
    schema: pa.Schema,
    compression: str = "zstd",
    **options: Any,  # noqa: ANN401
) -> Iterator[pq.ParquetWriter]:
    """Open a writer whose file has room for the seals; the file is complete after the block.

    Comments of columns stay out of files: they are in the log of the table.
    """
    plain = pa.schema(map(pa.Field.remove_metadata, schema), schema.metadata)
    with pq.ParquetWriter(pa.PythonFile(file, "w"), plain, compression=compression, **options) as w:
        yield w
        w.add_key_value_metadata({FOOTER_SEAL: FOOTER_BLANK, SEAL: BLANK})


def _seal(file: IO[bytes], path: str) -> None:
    """Hash the chunks of a complete file, and fill in both seals."""
    start, footer = read_footer(file)
    metadata = pq.read_metadata(pa.BufferReader(footer))
    hashes = b"".join(chunk_hash(file, *chunk) for chunk in chunk_ranges(metadata))
    rest = hashes + footer_with_seal(path, hashes, footer)
    sha = hashlib.sha256(path.encode())
    file.seek(0)
    for first in range(0, start, _PIECE):
        sha.update(file.read(min(_PIECE, start - first)))
    sha.update(rest)
    file.seek(start)
    file.write(fill(rest, sha.hexdigest().encode()))
