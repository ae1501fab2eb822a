"""Scratch space: what processes of one machine share on its disk, and can make again.

    DIR/protoscore-scratch-UID/     a private folder, DIR as --scratch says
        NAME.lock                   locked by the one process that makes, looks up or removes NAME
        NAME/                       an entry: its files, and a record of them that is written last

One process makes an entry while the others wait. Whoever uses it holds a lock on its record, and
nobody removes it until the last user is gone. Locks vanish with their process, so what a killed job
leaves is unused, and the next one removes it.
"""

import fcntl
import os
import re
import shutil
import uuid
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from scoring.errors import Outage, UserError
from scoring.store.private_folder import open_private_folder
from scoring.store.scratch_entry import Entry, NewEntry, is_in_use, new_entry, open_entry
from scoring.store.scratch_place import SCRATCH_FLAG, check_space, disk_errors, scratch_parent

_NAME = re.compile(r"[a-z]+-[0-9a-f]{32}")
_LOCK = ".lock"


def check_scratch(flag: str = "") -> None:
    """Check that this machine has scratch space, before any work.

    Raises:
        UserError: naming the flag.
    """
    parent = scratch_parent(flag)
    if not os.path.isdir(parent) or not os.access(parent, os.W_OK | os.X_OK):
        raise UserError(
            f"{SCRATCH_FLAG}: expected a folder that can be written, got {str(parent)!r}"
        )
    if os.path.lexists(_folder(flag)):
        try:
            Scratch(flag)
        except Outage as error:
            raise UserError(str(error)) from None


def remove_unused(flag: str = "") -> None:
    """Remove what earlier jobs left in this machine's scratch space, if it has any."""
    if _folder(flag).exists():
        with suppress(Outage):  # whoever needs it will say what is wrong with it
            Scratch(flag).remove_unused()


class Scratch:
    """This user's scratch space."""

    def __init__(self, flag: str = "") -> None:
        """Open it; make it if need be.

        Args:
            flag: the folder that --scratch names; "": none.

        Raises:
            Outage: the folder cannot be trusted or made.
        """
        self.path = _folder(flag)
        self._folder = open_private_folder(self.path, SCRATCH_FLAG)
        weakref.finalize(self, os.close, self._folder)

    def take(self, kind: str, key: str, size: int, make: Callable[[NewEntry], None]) -> Entry:
        """Return an entry that stays as long as anything refers to it or to its files.

        Args:
            kind: what it is, in lower-case letters.
            key: hash of what it is made from.
            size: its size in bytes.
            make: writes its files; called unless there is a complete entry.

        Raises:
            Outage: the disk is too small or fails, or the entry was changed while in use.
        """
        name = f"{kind}-{key}"
        self.remove_unused(spared=name)
        with disk_errors(self.path, size), self._locked(name):
            entry = open_entry(self._folder, name)
            if entry is None:
                self._make(name, size, make)
                entry = open_entry(self._folder, name)
        if entry is None:
            raise Outage(f"{SCRATCH_FLAG}: expected {name} in {self.path} to stay as written")
        weakref.finalize(entry, self._let_go, entry.descriptors)
        return entry

    @contextmanager
    def working_folder(self, kind: str) -> Iterator[Path]:
        """Give an empty folder, which is removed at the end of the block."""
        name = f"{kind}-{uuid.uuid4().hex}"
        with self._locked(name):
            os.mkdir(name, 0o700, dir_fd=self._folder)
            try:
                yield self.path / name
            finally:
                self._remove(name)

    def remove_unused(self, spared: str = "") -> None:
        """Remove what no living process makes or uses.

        Args:
            spared: the name of an entry to leave alone.
        """
        names = {name.removesuffix(_LOCK) for name in os.listdir(self._folder)} - {spared}
        for name in filter(_NAME.fullmatch, names):
            with suppress(OSError, Outage), self._locked(name, wait=False) as locked:
                if locked and not is_in_use(self._folder, name):
                    self._remove(name)

    def _make(self, name: str, size: int, make: Callable[[NewEntry], None]) -> None:
        """Make a locked entry in place of one that is incomplete or not as it was written."""
        if is_in_use(self._folder, name):
            raise Outage(
                f"{SCRATCH_FLAG}: expected {name} in {self.path} to stay as it was written, but "
                "it has changed, and another process uses it"
            )
        self._remove_files(name)
        check_space(self.path, size)
        try:
            with new_entry(self._folder, name) as entry:
                make(entry)
        except BaseException:
            self._remove_files(name)
            raise

    @contextmanager
    def _locked(self, name: str, *, wait: bool = True) -> Iterator[bool]:
        """Keep other processes from making, looking up or removing an entry.

        Yields:
            False if another process does so, and `wait` is False.
        """
        lock = self._lock(name, wait=wait)
        try:
            yield lock is not None
        finally:
            if lock is not None:
                os.close(lock)

    def _lock(self, name: str, *, wait: bool) -> int | None:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        while True:
            lock = os.open(name + _LOCK, flags, 0o600, dir_fd=self._folder)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._is_current(lock, name + _LOCK):
                    return lock
            except BlockingIOError:
                os.close(lock)
                return None
            except BaseException:
                os.close(lock)
                raise
            os.close(lock)  # its last user removed it while we waited

    def _is_current(self, opened: int, name: str) -> bool:
        try:
            return os.path.samestat(
                os.fstat(opened), os.stat(name, dir_fd=self._folder, follow_symlinks=False)
            )
        except FileNotFoundError:
            return False

    def _remove(self, name: str) -> None:
        """Remove a locked entry, its lock last."""
        self._remove_files(name)
        os.unlink(name + _LOCK, dir_fd=self._folder)

    def _remove_files(self, name: str) -> None:
        """Remove the folder of an entry, or whatever has its name; links are not followed."""
        try:
            os.unlink(name, dir_fd=self._folder)
        except FileNotFoundError:
            pass
        except (IsADirectoryError, PermissionError):  # POSIX allows either for a folder
            try:
                shutil.rmtree(name, dir_fd=self._folder)
            except OSError as error:
                raise Outage(
                    f"{SCRATCH_FLAG}: expected to be able to remove {name} in {str(self.path)!r}, "
                    f"got {error.strerror}"
                ) from None

    def _let_go(self, descriptors: list[int]) -> None:
        """Stop using an entry, and remove it if this was its last user."""
        for descriptor in descriptors:
            os.close(descriptor)
        with suppress(OSError):
            self.remove_unused()


def _folder(flag: str) -> Path:
    return scratch_parent(flag) / f"protoscore-scratch-{os.geteuid()}"
