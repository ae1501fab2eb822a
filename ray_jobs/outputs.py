"""Where commands write: whole or not at all, and over nothing that is not theirs."""

import json
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scoring.errors import UserError

_RECORD = "protoscore.json"


def free_path(output: str, *, folder: bool, overwrite: bool) -> Path:
    """Where --output says, if a file or folder may be written there.

    Raises:
        UserError: something is there, and is not ours to replace; or there is no folder to hold it.
    """
    path = Path(output).expanduser().resolve()  # a link stays a link
    if not path.parent.is_dir():
        raise UserError(f"--output: expected a path in a folder that exists, got {output!r}")
    if path.exists():
        if not overwrite:
            raise UserError(f"--output: expected a new path, or --overwrite, got {output!r}")
        if not ((path / _RECORD).is_file() if folder else path.is_file()):
            wanted = f"a folder with a {_RECORD}" if folder else "a file"
            raise UserError(f"--overwrite: expected {wanted} to replace, got {output!r}")
    return path


def write_record(folder: Path, about: Mapping[str, Any]) -> None:
    """Say in a folder what it was made of, which marks it as ours."""
    (folder / _RECORD).write_text(json.dumps(about, indent=1) + "\n")


@contextmanager
def written_whole(path: Path, flag: str) -> Iterator[Path]:
    """A path to write a file or folder to; it takes the place of `path` once the block ends well.

    Raises:
        UserError: it cannot be written, naming the flag.
    """
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    try:
        yield partial
        _replace(path, partial)
    except OSError as error:
        kind = "folder" if partial.is_dir() else "file"
        reason = error.strerror or type(error).__name__
        raise UserError(
            f"{flag}: expected a {kind} that can be written, got {str(path)!r} ({reason})"
        ) from error
    finally:
        _remove(partial)


def _replace(path: Path, new: Path) -> None:
    if not path.is_dir():
        new.replace(path)
        return
    old = new.with_suffix(".old")  # no call swaps two folders
    path.rename(old)
    new.rename(path)
    _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
