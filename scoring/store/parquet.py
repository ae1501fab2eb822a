"""Parquet files of a store: sealed, with a checksum on every page.

Reading a whole file checks its seal. Reading parts of a file checks the pages that are read, by
their checksums, and the footer, which has a seal of its own.
"""

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from scoring.store.sealed import BLANK, DIGITS, MARK, SEAL, damaged, read_sealed
from scoring.store.storage import Storage

_FOOTER_SEAL = "footer_seal"
_FOOTER_MARK = "protoscore-footer-sha256:"
_FOOTER_BLANK = _FOOTER_MARK + "0" * DIGITS
_TRAILER = 8  # the footer's length, and PAR1
_TAIL = 64 << 10  # bytes to read from the end of a file; few footers are longer


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
    with sealed_writer(buffer, path, table.schema, **options) as writer:
        writer.write_table(table, row_group_size)
    storage.write(path, buffer.getvalue())


@contextmanager
def sealed_writer(
    file: BinaryIO,
    path: str,
    schema: pa.Schema,
    compression: str = "zstd",
    **options: Any,  # noqa: ANN401
) -> Iterator[pq.ParquetWriter]:
    """Open a writer; when the block ends without an error, its file is whole and sealed.

    Args:
        file: to write to.
        path: of the file in the store.
        schema: of its rows.
        compression: of its pages.
        options: more of `pyarrow.parquet.ParquetWriter`.
    """
    sealing = _SealingFile(file, path)
    with pq.ParquetWriter(
        sealing, schema, compression=compression, write_page_checksum=True, **options
    ) as writer:
        yield writer
        writer.add_key_value_metadata({_FOOTER_SEAL: _FOOTER_BLANK, SEAL: BLANK})
    sealing.seal()


def read_parquet(storage: Storage, path: str) -> pa.Table:
    """Read a whole file.

    Raises:
        FileNotFoundError: there is no such file.
        Damaged: it is not what was written.
    """
    data = read_sealed(storage, path)
    try:
        return pq.read_table(pa.BufferReader(data), page_checksum_verification=True)
    except (OSError, pa.ArrowException) as error:  # a file of an earlier version, without a seal
        raise damaged(storage, path) from error


@contextmanager
def opened_parquet(storage: Storage, path: str) -> Iterator[pq.ParquetFile]:
    """Open a file to read parts of it.

    Raises:
        FileNotFoundError: there is no such file.
        Damaged: its footer, or a page that is read, is not what was written.
    """
    with storage.open(path) as file:
        try:
            footer = _read_footer(file)
            if not _is_footer_intact(storage, path, footer):
                raise damaged(storage, path)
            metadata = pq.read_metadata(pa.BufferReader(footer))
            yield pq.ParquetFile(file, metadata=metadata, page_checksum_verification=True)
        except (pa.ArrowInvalid, pa.ArrowSerializationError) as error:
            raise damaged(storage, path) from error
        except OSError as error:
            if error.errno is None:  # Arrow's own: a checksum does not match
                raise damaged(storage, path) from error
            raise


class _SealingFile:
    """Hashes a Parquet file while it is written; holds the footer back to fill in both seals."""

    def __init__(self, file: BinaryIO, path: str) -> None:
        self._file, self._path = file, path
        self._sha = hashlib.sha256(path.encode())
        self._footer = b""
        self._size = 0
        self.closed = False

    def write(self, data: bytes) -> int:
        """Write a piece; return its size."""
        piece = bytes(data)
        self._size += len(piece)
        if self._footer or BLANK.encode() in piece:
            self._footer += piece
        else:
            self._sha.update(piece)
            self._file.write(piece)
        return len(piece)

    def seal(self) -> None:
        """Fill in both seals and write the footer."""
        footer = _filled(self._footer, _FOOTER_MARK, _footer_digest(self._path, self._footer))
        self._sha.update(footer)
        self._file.write(_filled(footer, MARK, self._sha.hexdigest()))

    def tell(self) -> int:
        """Return how many bytes have been written."""
        return self._size

    def flush(self) -> None:
        """Do nothing: a file that is not whole helps nobody."""

    def close(self) -> None:
        """Do nothing: the file is complete once it is sealed."""


def _read_footer(file: Any) -> bytes:  # noqa: ANN401
    """Read the footer with its length and magic, nearly always in one request."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - _TAIL))
    tail = bytes(file.read())
    footer = _TRAILER + int.from_bytes(tail[-_TRAILER:-4], "little")
    if len(tail) < footer <= size:
        file.seek(size - footer)
        tail = bytes(file.read())
    return tail[-footer:]


def _is_footer_intact(storage: Storage, path: str, footer: bytes) -> bool:
    at = footer.rfind(_FOOTER_MARK.encode())
    if at < 0:
        return storage.has_unsealed_files
    digits = footer[at + len(_FOOTER_MARK) :][:DIGITS].decode("latin-1")
    return digits == _footer_digest(path, footer)


def _footer_digest(path: str, footer: bytes) -> str:
    for mark in (_FOOTER_MARK, MARK):
        footer = _filled(footer, mark, "0" * DIGITS)
    return hashlib.sha256(path.encode() + footer).hexdigest()


def _filled(data: bytes, mark: str, digits: str) -> bytes:
    """Put digits behind the last mark."""
    at = data.rfind(mark.encode()) + len(mark)
    return data[:at] + digits.encode() + data[at + DIGITS :]
