"""A folder that appears whole or not at all, and replaces nothing but an earlier report.

On object storage, which cannot rename, its pages appear last.
"""

import tempfile
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from scoring.errors import BadStore, UserError
from scoring.store.parallel import do_in_parallel
from scoring.store.storage import Storage
from scoring.store.whole_files import written_whole

GENERATOR = "protoscore report"
"""How the first page of a report names its maker."""
_FLAG = "--output"
_FIRST_PAGE = "index.html"
_PARTS = {"css", "data", "js"}  # folders of a report, beside its pages
_MARK = f'<meta name="generator" content="{GENERATOR}">'


@dataclass(frozen=True)
class Folder:
    """A folder that is being written; `UserError`, naming the flag, where the disk forbids it."""

    path: Path

    def write(self, name: str, data: bytes) -> None:
        """Write a file; `name` is its path in the folder."""
        with self.writing(name) as file:
            file.write(data)

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """A file to write piece by piece."""
        path = self.path / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                yield file
        except OSError as error:
            raise UserError(
                f"{_FLAG}: expected a folder that can be written, got {str(self.path)!r} "
                f"({error.strerror})"
            ) from error

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())


def check_output(target: str) -> None:
    """Refuse a target, a path or s3://bucket/prefix, before any work.

    Raises:
        UserError: it is neither new, nor empty, nor an earlier report; or there is no folder to put
            it in; or it cannot be written.
    """
    if target.endswith((".html", ".htm")):
        raise UserError(
            f"{_FLAG}: expected a folder, for the report is several pages, got {target!r}; "
            f"{target.rpartition('.')[0]!r} would do"
        )
    if "://" in target:
        storage = _bucket(target)
        replaceable = _is_replaceable(storage.names(""), lambda: storage.read(_FIRST_PAGE))
    else:
        path = local_path(target)
        if not path.parent.is_dir():
            raise UserError(f"{_FLAG}: expected a folder inside one that exists, got {target!r}")
        replaceable = not path.exists() or (
            path.is_dir()
            and _is_replaceable(
                {file.name for file in path.iterdir()}, (path / _FIRST_PAGE).read_bytes
            )
        )
    if not replaceable:
        raise UserError(
            f"{_FLAG}: expected a new folder, an empty one or an earlier report, got {target!r}"
        )


def local_path(target: str) -> Path:
    """The folder that a target without a scheme names."""
    return Path(target).expanduser().absolute()


@contextmanager
def appearing(target: str) -> Iterator[Folder]:
    """A folder to write, which takes the place of `target` once the block has ended well."""
    if "://" in target:
        with _uploaded(target) as folder:
            yield Folder(folder)
    else:
        with written_whole(local_path(target), _FLAG, folder=True) as folder:
            yield Folder(folder)


@contextmanager
def _uploaded(target: str) -> Iterator[Path]:
    """Written on this machine first; what an earlier report had besides is removed at the end."""
    storage = _bucket(target)
    with tempfile.TemporaryDirectory(prefix="protoscore-report-") as aside:
        folder = Path(aside)
        yield folder
        new = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
        pages = {name for name in new if name.endswith(".html")}
        try:
            for some in (new - pages, pages):
                do_in_parallel(lambda name: storage.upload(name, folder / name), sorted(some))
            storage.remove({file.path for file in storage.walk("")} - new)
        except Exception as error:  # whatever the driver raises
            raise UserError(
                f"{_FLAG}: expected a prefix that can be written, got {target!r} "
                f"({type(error).__name__})"
            ) from error


def _bucket(target: str) -> Storage:
    """The prefix of object storage, which was seen to be writable.

    Raises:
        UserError: it is none.
    """
    try:
        storage = Storage(target)
        storage.check(writable=True, flag=_FLAG)
    except BadStore as error:
        said = str(error)
        raise UserError(said if said.startswith(_FLAG) else f"{_FLAG}: {said}") from error
    return storage


def _is_replaceable(names: Set[str], first_page: Callable[[], bytes]) -> bool:
    """Whether a folder with these names in it is empty, or a report with nothing beside it."""
    if not names:
        return True
    is_ours = all(name in _PARTS or name.endswith(".html") for name in names)
    return is_ours and _FIRST_PAGE in names and _MARK.encode() in first_page()
