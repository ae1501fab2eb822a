"""A folder of pages: it appears whole or not at all, and replaces only earlier pages of its kind.

Object storage cannot rename folders, so there the pages are uploaded last.
"""

from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from scoring.errors import BadStore, Outage, UserError
from scoring.store.parallel import do_in_parallel
from scoring.store.scratch import Scratch, check_scratch
from scoring.store.storage import Storage
from scoring.store.whole_files import check_writable, refused, written_whole

GENERATOR = "protoscore report"
"""The `generator` that marks the first page of a report."""
STUDY_GENERATOR = "protoscore study"
"""The same for the page of a human study."""
REVIEW_GENERATOR = "protoscore review"
"""The same for the page of a label review."""
_FLAG = "--output"
_FIRST_PAGE = "index.html"
_PARTS = {"css", "data", "js"}  # subfolders


@dataclass(frozen=True)
class Folder:
    """A folder under construction; failed writes raise a `UserError` that names the flag."""

    path: Path

    def write(self, name: str, data: bytes) -> None:
        """Write a file; `name` is its path within the folder."""
        with self.writing(name) as file:
            file.write(data)

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """Open a file to write piece by piece."""
        path = self.path / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                yield file
        except OSError as error:
            raise refused(error, _FLAG, "folder", str(self.path)) from error

    @property
    def size(self) -> int:
        """Total size of all files in bytes."""
        return sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())


def check_output(target: str, generator: str = GENERATOR) -> None:
    """Check that a target (a path or s3://bucket/prefix) can take pages, before any work.

    Args:
        target: the folder.
        generator: what marks the first page of earlier ones, which may be replaced.

    Raises:
        UserError: it holds something other than earlier pages, its parent folder does not
            exist, it cannot be written, or there is no scratch space to prepare it in.
    """
    kind = generator.rpartition(" ")[2]
    if target.endswith((".html", ".htm")):
        raise UserError(
            f"{_FLAG}: expected a folder, since a {kind} has several pages, got {target!r}; "
            f"try {target.rpartition('.')[0]!r}"
        )
    if "://" in target:
        check_scratch()
        storage = _bucket(target)
        first_page = partial(storage.read, _FIRST_PAGE)
        replaceable = _is_replaceable(storage.names(""), first_page, generator)
    else:
        path = local_path(target)
        if not path.parent.is_dir():
            raise UserError(f"{_FLAG}: expected a folder inside one that exists, got {target!r}")
        check_writable(path.parent, _FLAG, target)
        replaceable = not path.exists() or (
            path.is_dir()
            and _is_replaceable(
                {file.name for file in path.iterdir()},
                (path / _FIRST_PAGE).read_bytes,
                generator,
            )
        )
    if not replaceable:
        raise UserError(
            f"{_FLAG}: expected a new folder, an empty one or an earlier {kind}, got {target!r}"
        )


def local_path(target: str) -> Path:
    """Return the absolute path of a target that has no scheme."""
    return Path(target).expanduser().absolute()


@contextmanager
def appearing(target: str) -> Iterator[Folder]:
    """Give a folder to write that replaces `target` when the block ends without an error."""
    if "://" in target:
        with _uploaded(target) as folder:
            yield Folder(folder)
    else:
        with written_whole(local_path(target), _FLAG, folder=True) as folder:
            yield Folder(folder)


@contextmanager
def _uploaded(target: str) -> Iterator[Path]:
    """Write to this machine first, upload, then remove the earlier report's other files."""
    storage = _bucket(target)
    with Scratch().working_folder("report") as folder:
        yield folder
        new = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
        pages = {name for name in new if name.endswith(".html")}
        try:
            for batch in (new - pages, pages):
                do_in_parallel(lambda name: storage.upload(name, folder / name), sorted(batch))
            storage.remove({file.path for file in storage.walk("")} - new)
        except Outage:
            raise
        except Exception as error:  # each storage driver raises its own
            raise UserError(
                f"{_FLAG}: expected a prefix that can be written, got {target!r} "
                f"({type(error).__name__})"
            ) from error


def _bucket(target: str) -> Storage:
    """Open a prefix of object storage, after checking that it can be written.

    Raises:
        UserError: it cannot.
    """
    try:
        storage = Storage(target)
        storage.check(writable=True, flag=_FLAG)
    except BadStore as error:
        message = str(error)
        raise UserError(message if message.startswith(_FLAG) else f"{_FLAG}: {message}") from error
    return storage


def _is_replaceable(names: Set[str], first_page: Callable[[], bytes], generator: str) -> bool:
    """Tell whether a folder with these entries is empty, or earlier pages and nothing else."""
    if not names:
        return True
    is_ours = all(name in _PARTS or name.endswith(".html") for name in names)
    mark = f'<meta name="generator" content="{generator}">'
    return is_ours and _FIRST_PAGE in names and mark.encode() in first_page()
