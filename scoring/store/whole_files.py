"""Destinations on this machine: files and folders that appear whole or not at all."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from scoring.errors import Outage, ProtoscoreError, UserError
from scoring.store.outages import is_refusal, known


@contextmanager
def written_whole(path: Path, flag: str, *, folder: bool = False) -> Iterator[Path]:
    """Yield a path to write to, which replaces `path` when the block ends without an error.

    Args:
        path: the destination; a file or folder that is there is replaced.
        flag: the flag that names it, for error messages.
        folder: yield a new, empty folder; otherwise a path where nothing is yet.

    Raises:
        UserError: `path` cannot be written; the message names the flag.
        Outage: the disk is full or fails.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise UserError(f"{flag}: expected a file or folder to replace, got {str(path)!r}")
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    try:
        if folder:
            unfinished.mkdir()
        yield unfinished
        _replace(unfinished, path)
    except OSError as error:
        raise refused(error, flag, "folder" if folder else "file", str(path)) from error
    finally:
        _remove(unfinished)


def refused(error: OSError, flag: str, kind: str, target: str) -> ProtoscoreError:
    """Say why a destination was not written.

    Args:
        error: what the system said.
        flag: the flag that names the destination.
        kind: of destination, such as "folder".
        target: the destination as the user knows it.

    Returns:
        An `Outage` if the disk is full or fails: the same command may succeed later. Else the
        destination itself is wrong, a `UserError`.
    """
    if (outage := known(error)) and not is_refusal(error):
        return Outage(f"{flag} {target}: {outage}")
    reason = error.strerror or type(error).__name__
    return UserError(f"{flag}: expected a {kind} that can be written, got {target!r} ({reason})")


def check_writable(folder: Path, flag: str, target: str) -> None:
    """Refuse a destination in a folder where nothing can be written, before any work.

    Raises:
        UserError: naming the flag.
    """
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(
            f"{flag}: expected a place that can be written, got {target!r} in a read-only folder"
        )


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
    """Remove what is left, if the disk lets us: that must not mask why it is left."""
    with suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
