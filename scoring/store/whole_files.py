"""Destinations on this machine: files and folders that appear whole or not at all."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scoring.errors import UserError


@contextmanager
def written_whole(path: Path, flag: str, *, folder: bool = False) -> Iterator[Path]:
    """Yield a path to write to, which replaces `path` when the block ends without an error.

    Args:
        path: the destination; a file or folder that is there is replaced.
        flag: the flag that names it, for error messages.
        folder: yield a new, empty folder; otherwise a path where nothing is yet.

    Raises:
        UserError: the disk refuses; the message names the flag.
    """
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    try:
        if folder:
            unfinished.mkdir()
        yield unfinished
        _replace(unfinished, path)
    except OSError as error:
        kind = "folder" if folder else "file"
        reason = error.strerror or type(error).__name__
        raise UserError(
            f"{flag}: expected a {kind} that can be written, got {str(path)!r} ({reason})"
        ) from error
    finally:
        _remove(unfinished)


def _replace(new: Path, path: Path) -> None:
    """Rename; an old folder is put back if that fails, and removed if it does not."""
    if not path.is_dir():
        new.replace(path)
        return
    old = new.with_suffix(".old")  # there is no call that swaps two folders
    path.rename(old)
    try:
        new.rename(path)
    except OSError:
        old.rename(path)
        raise
    _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
