"""Files in a folder or on object storage, by one interface.

A file appears whole or not at all: one PUT on object storage; on disk, written and synced
before it gets its name.
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, cast

from scoring.errors import BadStore, Outage
from scoring.store.file_kinds import is_ours
from scoring.store.filesystems import filesystem
from scoring.store.json_text import parse_json
from scoring.store.layout import MARK, SEALED_LAYOUT, UNFINISHED, damaged_path
from scoring.store.local_folder import appearing_whole, check_folder
from scoring.store.outages import naming
from scoring.store.parallel import do_in_parallel, in_parallel

_UPLOAD_BLOCK = 16 << 20  # bytes of an upload held in memory


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """A file of a store."""

    path: str
    size: int
    """Bytes."""
    modified: datetime

    @property
    def is_unfinished(self) -> bool:
        """Whether the file is still being written, or was when its writer died."""
        return self.path.endswith(UNFINISHED)


class Storage:
    """Files under one root; paths are relative to it and use `/`."""

    mends: bool
    """Whether damaged files are set aside: True in a job that holds a lease, and in its workers."""

    def __init__(self, uri: str, mends: bool = False) -> None:
        if not uri.strip():
            raise BadStore("--store: expected a folder or s3://bucket/prefix, got ''")
        uri = uri.removeprefix("file://")
        self.uri = uri.rstrip("/") if "://" in uri else str(Path(uri).expanduser().absolute())
        self._fs, self._root = filesystem(uri)
        self._local = "://" not in uri
        self.mends = mends

    def __reduce__(self) -> tuple[type["Storage"], tuple[str, bool]]:
        """Pickle no credentials; they stay in each process's environment."""
        return Storage, (self.uri, self.mends)

    def check(self, *, writable: bool, flag: str = "--store") -> None:
        """Refuse a store that cannot be read (or written), before any work starts.

        Raises:
            BadStore: one line that names the flag and holds no credentials.
            Outage: the store does not answer.
        """
        if not self._local and not self.uri.startswith("s3://"):
            raise BadStore(f"{flag}: expected a local path or s3://bucket/prefix, got {self.uri!r}")
        try:
            if self._local:
                check_folder(Path(self._root), writable=writable)
            else:
                self._check_bucket(writable=writable)
        except Outage as error:
            raise Outage(f"{flag} {self.uri}: {error}") from error
        except Exception as error:
            want = "writable" if writable else "readable"
            raise BadStore(
                f"{flag}: expected a {want} store, got {self.uri!r} ({type(error).__name__})"
            ) from error

    @cached_property
    def has_unsealed_files(self) -> bool:
        """Whether an earlier protoscore made this store, whose files carried no seals."""
        try:
            return int(parse_json(self.read(MARK))["layout"]) < SEALED_LAYOUT
        except FileNotFoundError:
            return True
        except (ValueError, KeyError, TypeError, OverflowError):  # a damaged mark
            return False

    def exists(self, path: str) -> bool:
        """Return whether a file exists; if it does, it is whole."""
        return bool(self._fs.exists(self._full(path)))

    def existing(self, paths: Iterable[str]) -> set[str]:
        """Return those of `paths` that exist; they are looked up in parallel."""
        wanted = list(paths)
        found = in_parallel(self.exists, wanted)
        return {path for path, exists in zip(wanted, found, strict=True) if exists}

    def names(self, folder: str) -> set[str]:
        """Return the names directly under `folder`; none if it does not exist."""
        try:
            found = self._fs.ls(self._full(folder), detail=False)
        except FileNotFoundError:
            return set()
        return {str(path).rstrip("/").rsplit("/", 1)[-1] for path in found}

    def read(self, path: str) -> bytes:
        """Return a file's bytes; `FileNotFoundError` if there is none."""
        return bytes(self._fs.cat_file(self._full(path)))

    def read_range(self, path: str, start: int, stop: int) -> bytes:
        """Return the bytes from `start` to `stop`; fewer if the file ends before."""
        return bytes(self._fs.cat_file(self._full(path), start=start, end=stop))

    def size(self, path: str) -> int:
        """Return how many bytes a file has; `FileNotFoundError` if there is none."""
        return int(self._fs.size(self._full(path)))

    def read_all(self, paths: Iterable[str]) -> list[bytes]:
        """Read several files in parallel, in the order given."""
        return list(in_parallel(self.read, paths))

    def read_existing(self, paths: Iterable[str]) -> dict[str, bytes]:
        """Read those of several files that exist, in parallel, by path in the order given."""

        def read(path: str) -> tuple[str, bytes | None]:
            try:
                return path, self.read(path)
            except FileNotFoundError:
                return path, None

        return {path: data for path, data in in_parallel(read, paths) if data is not None}

    def open(self, path: str) -> Any:  # noqa: ANN401 - fsspec ships no types
        """Open a file for readers that need parts of it; nothing is read ahead."""
        return self._fs.open(self._full(path), "rb", cache_type="none")

    def walk(self, folder: str) -> list[StoredFile]:
        """List all files below `folder`, unfinished ones included; none if it does not exist."""
        found = self._fs.find(self._full(folder), detail=True)
        return [
            StoredFile(
                path=str(full).removeprefix(f"{self._root}/"),
                size=int(info["size"]),
                modified=_modified(info),
            )
            for full, info in found.items()
        ]

    def ours(self, folder: str) -> list[str]:
        """List the finished files of ours below `folder`."""
        files = self.walk(folder)
        return [file.path for file in files if is_ours(file.path) and not file.is_unfinished]

    def remove(self, paths: Iterable[str]) -> None:
        """Remove files in parallel; those already gone are skipped."""

        def remove(path: str) -> None:
            with suppress(FileNotFoundError):
                self._fs.rm_file(self._full(path))

        do_in_parallel(remove, paths)

    def write(self, path: str, data: bytes) -> None:
        """Write a file; it appears whole or not at all."""
        if self._local:
            with self.writing(path) as file:
                file.write(data)
        else:
            self._fs.pipe_file(self._full(path), data)

    def upload(self, path: str, file: Path) -> None:
        """Copy a local file; object storage derives the media type from its name."""
        self._fs.put_file(str(file), self._full(path))

    @contextmanager
    def writing(self, path: str) -> Iterator[BinaryIO]:
        """Open a large file to write; it appears when the block ends without an error."""
        full = self._full(path)
        if self._local:
            with naming(Path(full)), appearing_whole(Path(full)) as file:
                yield file
            return
        file = self._fs.open(full, "wb", block_size=_UPLOAD_BLOCK, autocommit=False)
        try:
            yield file
            file.close()
            file.commit()
        except BaseException:
            file.closed = True  # or it begins another upload when Python disposes of it
            file.discard()
            raise

    def set_aside(self, path: str) -> str:
        """Move a damaged file of ours out of the way, if this job may; return its path, or ""."""
        if not (self.mends and is_ours(path)):
            return ""
        aside = damaged_path(path, uuid.uuid4().hex[:8])
        with suppress(FileNotFoundError):  # another worker was first
            self._fs.makedirs(self._full(aside).rpartition("/")[0], exist_ok=True)
            self._fs.mv(self._full(path), self._full(aside))
        return aside

    def now(self) -> datetime:
        """Return the time by the store's clock, which for a folder is taken to be this machine's.

        Where a second counts, compare the times of files.
        """
        if self._local:
            return datetime.now(UTC)
        headers = self._list_one()["ResponseMetadata"]["HTTPHeaders"]
        return parsedate_to_datetime(headers["date"])

    def delete(self, folder: str) -> None:
        """Remove a folder (or file) with everything in it, if it exists."""
        if self._fs.exists(self._full(folder)):
            self._fs.rm(self._full(folder), recursive=True)

    def _check_bucket(self, *, writable: bool) -> None:
        self._list_one()
        if writable:
            # An unfinished mark: should it stay, it is in nobody's way.
            probe = f"{self._root}/.{MARK}.{uuid.uuid4().hex}{UNFINISHED}"
            self._fs.pipe_file(probe, b"")
            self._fs.rm_file(probe)

    def _list_one(self) -> Any:  # noqa: ANN401 - s3fs ships no types
        """Ask for one name below the root, the cheapest request that needs the right to read."""
        bucket, _, prefix = self._root.partition("/")
        return self._fs.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=1)

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}"


def _modified(info: Mapping[str, Any]) -> datetime:
    """Return when a file was written, by the clock of the disk or the object storage."""
    if "LastModified" in info:
        return cast(datetime, info["LastModified"])
    return datetime.fromtimestamp(info["mtime"], UTC)
