"""A store's folder on disk: whether it can be used, and how a file in it appears whole."""

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from scoring.store.layout import UNFINISHED


def check_folder(folder: Path, *, writable: bool) -> None:
    """Refuse a folder that can neither be used nor made.

    Raises:
        OSError: it is no folder, or this user may not use it.
    """
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        raise NotADirectoryError
    if not os.access(folder, os.R_OK | os.X_OK | (os.W_OK if writable else 0)):
        raise PermissionError


@contextmanager
def appearing_whole(target: Path) -> Iterator[BinaryIO]:
    """Write a file that appears as `target` when the block ends without an error.

    Until then it has no name where the file system allows that, as most of Linux do, so a process
    that is killed leaves nothing. Elsewhere it has a name of its own beside `target`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.{uuid.uuid4().hex}{UNFINISHED}")
    try:
        with _open_folder(target.parent) as folder:
            nameless = _nameless_file(target.parent)
            with nameless or unfinished.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
                if nameless:
                    _give_name(nameless, target, unfinished, folder)
            if not nameless:
                unfinished.replace(target)
            os.fsync(folder)  # a machine that loses power must not lose the name
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


@contextmanager
def _open_folder(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _nameless_file(folder: Path) -> BinaryIO | None:
    """Open a file without a name, which is gone when its process ends; None if there can be none.

    Linux alone has such files, and NFS and others have none.
    """
    if not hasattr(os, "O_TMPFILE") or not Path("/proc/self/fd").is_dir():
        return None
    try:
        return os.fdopen(os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o666), "wb")
    except OSError as error:
        if error.errno in {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL}:
            return None
        raise


def _give_name(file: BinaryIO, target: Path, unfinished: Path, folder: int) -> None:
    """Give a file without a name one in an open folder, in place of a file that has it."""
    # Only with a descriptor does Python let the system follow the link to the file.
    source = f"/proc/self/fd/{file.fileno()}"
    try:
        os.link(source, target.name, dst_dir_fd=folder)
    except FileExistsError:  # and no call of the system replaces it at once
        os.link(source, unfinished.name, dst_dir_fd=folder)
        unfinished.replace(target)
