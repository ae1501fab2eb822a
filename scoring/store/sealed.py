"""Seals: every file of a store carries a hash of its own bytes, checked whenever it is read.

A seal is a mark and 64 hex digits: the SHA-256 of the file's path in the store and of its bytes,
with zeros in place of the digits. It stands where the file's format has room for it (the last field
of a JSON object, the metadata of Parquet and safetensors), so other tools read the file as ever. A
bit that has flipped, a file that was cut off, and a file in the place of another are all found.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from scoring.errors import Damaged
from scoring.logs import logger
from scoring.store.json_text import parse_json
from scoring.store.parallel import in_parallel
from scoring.store.storage import Storage

SEAL = "seal"
"""Name of the field or metadata entry that holds the seal."""
MARK = "protoscore-sha256:"
DIGITS = 64
BLANK = MARK + "0" * DIGITS
"""What a writer puts in its place, once per file, for `write_sealed` to fill in."""
_HEAD = 8  # bytes at the start of a safetensors file that hold the length of its header
_TAIL = 8  # bytes at the end of a Parquet file: the length of its footer, and PAR1
_PARQUET = b"PAR1"
_METADATA = "__metadata__"  # of safetensors
_PIECE = 8 << 20
_log = logger(__name__)


def write_sealed(storage: Storage, path: str, data: bytes) -> None:
    """Seal and write a file that has a `BLANK` in it; it appears whole or not at all."""
    at = _find(data)
    storage.write(path, data[:at] + _digest(path, data, at) + data[at + DIGITS :])


def fill(data: bytes, digits: bytes, mark: bytes = MARK.encode()) -> bytes:
    """Put digits after the last mark."""
    at = data.rfind(mark) + len(mark)
    return data[:at] + digits + data[at + len(digits) :]


def read_sealed(storage: Storage, path: str) -> bytes:
    """Read a file and check its seal.

    Raises:
        FileNotFoundError: there is no such file.
        Damaged: it is not what was written. A job that may write has set it aside.
    """
    data = storage.read(path)
    if not is_intact(storage, path, data):
        data = storage.read(path)  # the disk or the network may be at fault, not the file
        if not is_intact(storage, path, data):
            raise damaged(storage, path)
    return data


def read_part(storage: Storage, path: str, record: str) -> bytes:
    """Read a file that a record vouches for. If it is damaged or gone, the record goes with it.

    Raises:
        Damaged: the file is missing, or not what was written; the record is set aside with it.
    """
    with vouched_for(storage, path, record):
        return read_sealed(storage, path)


@contextmanager
def vouched_for(storage: Storage, path: str, record: str) -> Iterator[None]:
    """Read a file, in the block, that a record vouches for; raises what `read_part` raises."""
    try:
        yield
        return
    except FileNotFoundError:
        error = Damaged(
            f"--store: expected {path}, which {record} tells of, got none; run rescore again"
        )
    except Damaged as found:
        error = found
    storage.set_aside(record)
    raise error


def read_sound(storage: Storage, paths: Iterable[str]) -> dict[str, bytes]:
    """Read those of several files that exist and are intact, in parallel, in the order given.

    Each damaged one is set aside, and named in a warning.
    """

    def read(path: str) -> tuple[str, bytes | None]:
        try:
            return path, read_sealed(storage, path)
        except FileNotFoundError:
            return path, None
        except Damaged as error:
            _log.warning("%s", error)
            return path, None

    return {path: data for path, data in in_parallel(read, paths) if data is not None}


def check_seal(storage: Storage, path: str) -> None:
    """Check the seal of a file of any size, a few megabytes in memory at a time.

    Raises:
        FileNotFoundError: there is no such file.
        Damaged: it is not what was written. A job that may write has set it aside.
    """
    with storage.open(path) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(_HEAD)
        file.seek(max(0, size - _TAIL))
        tail = file.read()
        start, stop = _region(head, tail, size)
        file.seek(start)
        region = file.read(stop - start)
        at = _find_in(region, start)
        if at < 0:
            intact = storage.has_unsealed_files and _is_whole(path, region, size)
        else:
            file.seek(at)
            intact = file.read(DIGITS) == _streamed_digest(file, path, at)
    if not intact:
        raise damaged(storage, path)


def is_intact(storage: Storage, path: str, data: bytes) -> bool:
    """Return whether a file's bytes are those that were written to this path."""
    at = _find(data)
    if at < 0:
        start, stop = _region(data[:_HEAD], data[-_TAIL:], len(data))
        return storage.has_unsealed_files and _is_whole(path, data[start:stop], len(data))
    return data[at : at + DIGITS] == _digest(path, data, at)


def damaged(storage: Storage, path: str) -> Damaged:
    """Set a damaged file aside if this job may write; return the error that names it."""
    set_aside = storage.set_aside(path)
    return Damaged(
        f"--store: expected {path} as it was written, got a damaged file; "
        + (f"it is now {set_aside}; run again" if set_aside else "run verify --mend, then rescore")
    )


def _find(data: bytes) -> int:
    """Return where the digits of the seal begin, or -1."""
    start, stop = _region(data[:_HEAD], data[-_TAIL:], len(data))
    return _find_in(data[start:stop], start)


def _find_in(region: bytes, start: int) -> int:
    at = region.rfind(MARK.encode())
    return -1 if at < 0 or at + len(BLANK) > len(region) else start + at + len(MARK)


def _region(head: bytes, tail: bytes, size: int) -> tuple[int, int]:
    """Return the part of a file that holds its metadata; for JSON, that is all of it."""
    if head.startswith(_PARQUET):
        return max(0, size - _TAIL - int.from_bytes(tail[:4], "little")), size
    if head.startswith(b"{"):
        return 0, size
    return 0, min(size, _HEAD + int.from_bytes(head, "little"))  # safetensors


def _is_whole(path: str, region: bytes, size: int) -> bool:
    """Return whether a file without a seal, of an earlier version, at least is not cut off.

    Args:
        path: of the file; whether JSON is whole, its parser says.
        region: the part that holds its metadata.
        size: its size in bytes.
    """
    if path.endswith(".parquet"):
        return region.endswith(_PARQUET)
    if not path.endswith(".safetensors"):
        return True
    try:
        header: dict[str, Any] = parse_json(region[_HEAD:])
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != _METADATA]
        return bool(size == len(region) + max(ends, default=0))
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


def _digest(path: str, data: bytes, at: int) -> bytes:
    view = memoryview(data)
    sha = hashlib.sha256(path.encode())
    for part in (view[:at], b"0" * DIGITS, view[at + DIGITS :]):
        sha.update(part)
    return sha.hexdigest().encode()


def _streamed_digest(file: BinaryIO, path: str, at: int) -> bytes:
    sha = hashlib.sha256(path.encode())
    file.seek(0)
    for size in _pieces(at):
        sha.update(file.read(size))
    sha.update(b"0" * DIGITS)
    file.seek(at + DIGITS)
    while piece := file.read(_PIECE):
        sha.update(piece)
    return sha.hexdigest().encode()


def _pieces(size: int) -> Iterator[int]:
    for start in range(0, size, _PIECE):
        yield min(_PIECE, size - start)
