"""A store's folder on disk: whether it can be used, and how a file in it appears whole."""

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
def renamed_at_the_end(target: Path) -> Iterator[BinaryIO]:
    """Write to a file next to `target`, then rename it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.{uuid.uuid4().hex}{UNFINISHED}")
    try:
        with unfinished.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(target)
        _sync_folder(target.parent)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    """Make a rename last: a machine that loses power must not lose it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
