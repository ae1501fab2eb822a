"""An entry of scratch space: a folder with some files, and a record of them, `record.json`.

The record is written last and holds each file's owner, inode, size and times. No program can set
the time of a file's last change (ctime), so a file that fits the record is as it was written.
"""

import fcntl
import io
import json
import mmap
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from scoring.store.private_folder import open_folder_within

_RECORD = "record.json"
_UNFINISHED = "record.unfinished"
_SAFELY = os.O_NOFOLLOW | os.O_NONBLOCK  # neither through a link nor waiting for a pipe's writer


class EntryFile(io.FileIO):
    """A file of an entry, which is in use while this is open."""

    entry: "Entry"


class _EntryMap(mmap.mmap):
    entry: "Entry"


class Entry:
    """A complete entry in use: as long as this or something it gave is referred to, it stays."""

    def __init__(self, record: int, files: Mapping[str, int]) -> None:
        """Keep what `open_entry` opened: the locked record, and the files by name."""
        self._files = files
        self.descriptors = [record, *files.values()]
        """What to close once the entry is no longer in use."""

    def file(self, name: str) -> EntryFile:
        """Open a file to read."""
        file = EntryFile(os.dup(self._files[name]))
        file.entry = self
        return file

    def array(self, name: str, dtype: npt.DTypeLike, row: tuple[int, ...] = ()) -> npt.NDArray[Any]:
        """Map a file of raw numbers as an array [N, *row] that cannot be written."""
        size = os.fstat(self._files[name]).st_size
        if not size:
            return np.empty((0, *row), dtype)
        mapped = _EntryMap(self._files[name], size, access=mmap.ACCESS_READ)
        mapped.entry = self
        return np.frombuffer(mapped, dtype).reshape(-1, *row)


class NewEntry:
    """An entry that is being made."""

    def __init__(self, folder: int) -> None:
        self._folder = folder

    @contextmanager
    def writing(self, name: str, size: int = 0) -> Iterator[BinaryIO]:
        """Open a new file; it is on the disk when the block ends.

        Args:
            name: its name.
            size: bytes to reserve: writing to a map of a file that has none would kill the process
                if the disk is full.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(name, flags, 0o600, dir_fd=self._folder), "r+b") as file:
            if size and hasattr(os, "posix_fallocate"):  # macOS has none
                os.posix_fallocate(file.fileno(), 0, size)
            yield file
            file.flush()
            os.fsync(file.fileno())

    def write(self, name: str, numbers: npt.NDArray[Any]) -> None:
        """Write an array as raw numbers."""
        with self.writing(name) as file:
            file.write(np.ascontiguousarray(numbers).data)


def open_entry(scratch: int, name: str) -> Entry | None:
    """Open an entry to use; the caller has locked it.

    Args:
        scratch: the open scratch folder.
        name: the entry's name in it.

    Returns:
        None if it is missing, incomplete, somebody else's or not as it was written.
    """
    with ExitStack() as opened:
        try:
            folder = open_folder_within(scratch, name)
            opened.callback(os.close, folder)
            record = os.open(_RECORD, os.O_RDWR | _SAFELY, dir_fd=folder)
            opened.callback(os.close, record)
            if os.fstat(record).st_uid != os.geteuid():
                return None
            fcntl.flock(record, fcntl.LOCK_SH | fcntl.LOCK_NB)
            with os.fdopen(os.dup(record)) as text:
                expected = json.load(text)
            files = {}
            for file in expected:
                files[file] = os.open(file, os.O_RDONLY | _SAFELY, dir_fd=folder)
                opened.callback(os.close, files[file])
                if _fingerprint(os.fstat(files[file])) != expected[file]:
                    return None
        except (OSError, ValueError, TypeError):
            return None
        opened.pop_all()
    os.close(folder)
    return Entry(record, files)


@contextmanager
def new_entry(scratch: int, name: str) -> Iterator[NewEntry]:
    """Make an entry; it is complete once the block ends without an error."""
    os.mkdir(name, 0o700, dir_fd=scratch)
    folder = open_folder_within(scratch, name)
    try:
        entry = NewEntry(folder)
        yield entry
        files = sorted(os.listdir(folder))
        record = {
            file: _fingerprint(os.stat(file, dir_fd=folder, follow_symlinks=False))
            for file in files
        }
        with entry.writing(_UNFINISHED) as file:
            file.write(json.dumps(record).encode())
        os.rename(_UNFINISHED, _RECORD, src_dir_fd=folder, dst_dir_fd=folder)
    finally:
        os.close(folder)


def is_in_use(scratch: int, name: str) -> bool:
    """Return whether a process uses an entry; the caller has locked it."""
    try:
        folder = open_folder_within(scratch, name)
    except OSError:
        return False
    try:
        record = os.open(_RECORD, os.O_RDWR | _SAFELY, dir_fd=folder)
    except OSError:
        return False
    finally:
        os.close(folder)
    try:
        fcntl.flock(record, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(record)
    return False


def _fingerprint(found: os.stat_result) -> list[int]:
    times = (found.st_mtime_ns, found.st_ctime_ns)
    return [found.st_mode, found.st_uid, found.st_ino, found.st_size, *times]
