"""A Parquet file whose readers get nothing that is not as it was written."""

import hashlib
import io
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from operator import itemgetter
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from scoring.store.sealed import DIGITS, damaged, fill
from scoring.store.storage import Storage

FOOTER_SEAL = "footer_seal"
"""Name of the metadata entry that holds the seal of the footer and of the chunks' hashes."""
_FOOTER_MARK = b"protoscore-footer-sha256:"
_COUNT = 8  # hex digits after the seal: how many chunks there are
FOOTER_BLANK = _FOOTER_MARK.decode() + "0" * (DIGITS + _COUNT)
_HASH = 8  # bytes of a chunk's hash
_TRAILER = 8  # the footer's length, and PAR1
_TAIL = 64 << 10  # bytes to read from the end of a file; few footers are longer


class CheckedFile(io.RawIOBase):
    """A Parquet file of a store, opened to be read in any order.

    Threads may share `read_range` if they may share the file that it is made from.

    Raises:
        Damaged: the footer, or later a column chunk that is read, is not what was written.
    """

    def __init__(self, storage: Storage, path: str, file: Any) -> None:  # noqa: ANN401
        self._storage, self._path, self._file = storage, path, file
        self._at = 0
        start, footer = read_footer(file)
        self.size = start + len(footer)
        self._footer = start, footer
        self.metadata: pq.FileMetaData | None = None
        """Of the checked footer; None for a file without seals."""
        self._ranges: list[tuple[int, int]] = []
        if (seal := _seal_of(footer)) is None:
            if not storage.has_unsealed_files:
                raise damaged(storage, path)
            return
        self._hashes = b""
        if hashes := _HASH * seal[1]:  # object storage refuses to read nothing
            file.seek(max(0, start - hashes))
            self._hashes = bytes(file.read(hashes))
        if seal[0] != _footer_digest(path, self._hashes, footer):
            raise damaged(storage, path)
        try:
            self.metadata = pq.read_metadata(pa.BufferReader(footer))
            self._ranges = list(chunk_ranges(self.metadata))
        # The bytes are in memory: they are no footer.
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise damaged(storage, path) from error

    def read(self, size: int | None = -1) -> bytes:
        """Read from the position on."""
        wanted = self.size - self._at if size is None or size < 0 else size
        data = self.read_range(self._at, min(self.size, self._at + wanted))
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position, and return it."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        return self._at

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def read_range(self, start: int, stop: int) -> bytes:
        """Read a range, after checking all chunks that it touches."""
        at, footer = self._footer
        if start >= at:
            return footer[start - at : stop - at]
        first = bisect_right(self._ranges, start, key=itemgetter(1))
        last = bisect_left(self._ranges, stop, key=itemgetter(0))
        if first >= last:  # the magic at the start, or a file without seals
            self._file.seek(start)
            return bytes(self._file.read(stop - start))
        begin, end = min(start, self._ranges[first][0]), max(stop, self._ranges[last - 1][1])
        self._file.seek(begin)
        data = bytes(self._file.read(end - begin))
        for chunk in range(first, last):
            a, b = self._ranges[chunk]
            if _hash(data[a - begin : b - begin]) != self._hashes[chunk * _HASH :][:_HASH]:
                raise damaged(self._storage, self._path)
        return data[start - begin : stop - begin]


def read_footer(file: IO[bytes]) -> tuple[int, bytes]:
    """Return where the footer of a Parquet file starts, and it with its length and magic."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - _TAIL))
    tail = file.read()
    length = min(size, _TRAILER + int.from_bytes(tail[-_TRAILER:-4], "little"))
    if length > len(tail):
        file.seek(size - length)
        tail = file.read()
    return size - length, bytes(tail[len(tail) - length :])


def is_of_arrow(error: OSError) -> bool:
    """Whether an error is of Arrow, about the bytes of a file, and not of a disk or a network."""
    return type(error) is OSError and error.errno is None


def chunk_ranges(metadata: pq.FileMetaData) -> Iterator[tuple[int, int]]:
    """Yield the range of bytes of each column of each row group, in the order of the file."""
    for group in range(metadata.num_row_groups):
        for column in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(column)
            start = chunk.data_page_offset
            if chunk.has_dictionary_page:
                start = min(start, chunk.dictionary_page_offset)
            yield start, start + chunk.total_compressed_size


def chunk_hash(file: IO[bytes], start: int, stop: int) -> bytes:
    """Hash a range of a file."""
    file.seek(start)
    return _hash(file.read(stop - start))


def footer_with_seal(path: str, hashes: bytes, footer: bytes) -> bytes:
    """Fill in the seal of a footer and of the hashes before it."""
    count = f"{len(hashes) // _HASH:0{_COUNT}x}".encode()
    return fill(footer, _footer_digest(path, hashes, footer) + count, _FOOTER_MARK)


def _seal_of(footer: bytes) -> tuple[bytes, int] | None:
    """Return the digits of a footer's seal, and the number of chunks."""
    at = footer.rfind(_FOOTER_MARK) + len(_FOOTER_MARK)
    found = footer[at : at + DIGITS + _COUNT]
    try:
        return (found[:DIGITS], int(found[DIGITS:], 16)) if _FOOTER_MARK in footer else None
    except ValueError:
        return b"", 0


def _footer_digest(path: str, hashes: bytes, footer: bytes) -> bytes:
    blank = fill(footer, b"0" * (DIGITS + _COUNT), _FOOTER_MARK)
    blank = fill(blank, b"0" * DIGITS)
    return hashlib.sha256(path.encode() + hashes + blank).hexdigest().encode()


def _hash(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:_HASH]
