"""What commands write on this machine: files and folders that appear whole or not at all."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scoring.errors import UserError


@contextmanager
def written_whole(path: Path, flag: str, *, folder: bool = False) -> Iterator[Path]:
    """A path to write to; it takes the place of `path` once the block has ended well.

    Args:
        path: what stands there is replaced.
        flag: by which users name it.
        folder: the path given is that of a new, empty folder; else nothing is there yet.

    Raises:
        UserError: the disk does not let it, naming the flag.
    """
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    try:
        if folder:
            partial.mkdir()
        yield partial
        _take_place(partial, path)
    except OSError as error:
        kind = "folder" if folder else "file"
        reason = error.strerror or type(error).__name__
        raise UserError(
            f"{flag}: expected a {kind} that can be written, got {str(path)!r} ({reason})"
        ) from error
    finally:
        _remove(partial)


def _take_place(new: Path, path: Path) -> None:
    """Rename; a folder that stood there is put back if that fails, and removed if not."""
    if not path.is_dir():
        new.replace(path)
        return
    old = new.with_suffix(".old")  # no call swaps two folders
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
