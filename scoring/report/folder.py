"""A folder that appears whole or not at all, and replaces nothing but an earlier report."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from scoring.errors import UserError

GENERATOR = "protoscore report"
"""How the first page of a report names its maker."""
_FLAG = "--output"
_MARK = f'<meta name="generator" content="{GENERATOR}">'


@dataclass(frozen=True)
class Folder:
    """A folder that is being written.

    Every method raises `UserError`, naming the flag, where the disk does not let it.
    """

    path: Path

    def write(self, name: str, data: bytes) -> None:
        """Write a file; `name` is its path in the folder."""
        with self.writing(name) as file:
            file.write(data)

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """A file to write piece by piece."""
        path = self.path / name
        with _told(self.path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                yield file

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())


def check_output(target: Path) -> None:
    """Refuse a target before any work.

    Raises:
        UserError: it is neither new, nor empty, nor an earlier report; or there is no folder to put
            it in.
    """
    if not target.parent.is_dir():
        raise UserError(f"{_FLAG}: expected a folder inside one that exists, got {str(target)!r}")
    if target.exists() and not _is_replaceable(target):
        raise UserError(
            f"{_FLAG}: expected a new folder, an empty one or an earlier report, got "
            f"{str(target)!r}"
        )


@contextmanager
def appearing(target: Path) -> Iterator[Folder]:
    """A folder to write, which takes the place of `target` once the block has ended well."""
    aside = target.with_name(f".{target.name}.{uuid.uuid4().hex}.partial")
    try:
        with _told(target):
            aside.mkdir()
        yield Folder(aside)
        with _told(target):
            _take_place(aside, target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _take_place(aside: Path, target: Path) -> None:
    """Rename; what stood there is put back if that fails, and removed if not."""
    if not target.exists():
        aside.rename(target)
        return
    old = target.with_name(f".{target.name}.{uuid.uuid4().hex}.old")
    target.rename(old)
    try:
        aside.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _is_replaceable(target: Path) -> bool:
    if not target.is_dir():
        return False
    page = target / "index.html"
    return not any(target.iterdir()) or (
        page.is_file() and _MARK in page.read_text(errors="replace")
    )


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Turn what the disk says into one line."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{_FLAG}: expected a folder that can be written, got {str(folder)!r} "
            f"({error.strerror})"
        ) from error
