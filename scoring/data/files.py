"""Source files, local or on object storage: list them and notice when they change."""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scoring.errors import BadData, Outage, ProtoscoreError
from scoring.store.filesystems import filesystem
from scoring.store.outages import is_refusal, known

_MAGIC = "*?["
_HIDDEN = (".", "_")  # prefixes that Hadoop and its relatives give markers and unfinished files


@dataclass(frozen=True, order=True)
class SourceFile:
    """One file of a source."""

    name: str
    """Path below the folder or the fixed part of the glob."""
    path: str
    """Path in its filesystem."""
    fingerprint: str
    """Changes whenever the bytes may have changed."""


def is_local(uri: str) -> bool:
    """Whether `uri` can be read on this machine only."""
    return "://" not in uri or uri.startswith("file://")


def fingerprint(info: Mapping[str, Any]) -> str:
    """Return size and modification time of a local file, size and ETag of an object.

    Raises:
        BadData: it is no regular file: a pipe or a device could be read for ever.
    """
    if "islink" in info:  # local; the target of a link may change without the link changing
        name = info["name"]
        target = _stat(name)
        if target is None or not stat.S_ISREG(target.st_mode):
            raise BadData(f"expected a regular file, got a pipe, a device or a dead link: {name!r}")
        info = {"size": target.st_size, "mtime": target.st_mtime}
    revision = info.get("ETag") or info.get("mtime") or info.get("LastModified")
    return f"{info['size']}-{revision}"


def unread(error: Exception, said: str) -> ProtoscoreError:
    """Return what to raise if a source cannot be read: the outage, or else `said` as bad data."""
    ours = known(error)
    refusal = isinstance(error, OSError) and is_refusal(error)
    if isinstance(ours, Outage | BadData) and not refusal:
        return ours
    return BadData(f"{said} ({type(error).__name__})")


def list_files(uri: str, suffix: str, flag: str) -> list[SourceFile]:
    """List a single file, the files of a folder, or the matches of a glob, sorted by name.

    Args:
        uri: local or on object storage. Hidden files of a folder or glob are skipped.
        suffix: required ending of the file names in a folder.
        flag: the flag that gave `uri`, for error messages.

    Raises:
        BadData: `uri` cannot be listed, or there are no such files.
    """
    try:
        root, found = _find(uri, suffix)
        files = [
            SourceFile(name=path.removeprefix(f"{root}/"), path=path, fingerprint=fingerprint(info))
            for path, info in found.items()
        ]
    except Exception as error:  # every filesystem driver raises its own kinds of errors
        raise unread(error, f"{flag}: cannot list {uri!r}") from error
    if not files:
        raise BadData(f"{flag}: expected {suffix} files, got none at {uri!r}")
    return sorted(files)


def locate(uri: str, name: str, flag: str, expected: str) -> str:
    """Return the path of a file that `list_files` found, after checking that it is unchanged.

    Args:
        uri: the URI that was listed.
        name: name of the file in that listing.
        flag: the flag that gave `uri`, for error messages.
        expected: fingerprint of the file in that listing.

    Raises:
        BadData: the file is gone or has changed.
    """
    fs, path = filesystem(uri)
    try:
        root = _root(path) if _is_glob(path) and not fs.isdir(path) else path
        found = path if fs.isfile(path) else f"{root}/{name}"
        now = fingerprint(fs.info(found))
    except Exception as error:
        raise unread(error, f"{flag}: cannot read {name!r} again") from error
    if now != expected:
        raise BadData(
            f"{flag}: expected {name!r} to stay unchanged, got another version; run again"
        )
    return found


def read_file(uri: str) -> bytes:
    """Read a whole file, local or on object storage.

    Raises:
        BadData: it is no regular file.
    """
    fs, path = filesystem(uri)
    fingerprint(fs.info(path))
    return bytes(fs.cat_file(path))


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def _find(uri: str, suffix: str) -> tuple[str, dict[str, dict[str, Any]]]:
    """Return the folder that file names are relative to, and the details of each file by path."""
    fs, path = filesystem(uri)
    if fs.isfile(path):
        return path.rpartition("/")[0], {path: fs.info(path)}
    if fs.isdir(path):
        root, found = path, fs.find(path, maxdepth=1, detail=True)
        found = {name: info for name, info in found.items() if name.endswith(suffix)}
    elif _is_glob(path):
        root, found = _root(path), fs.glob(path, detail=True)
        found = {name: info for name, info in found.items() if info["type"] != "directory"}
    else:
        return path, {}
    visible = {n: i for n, i in found.items() if not n.rpartition("/")[2].startswith(_HIDDEN)}
    return root, visible


def _is_glob(path: str) -> bool:
    return any(character in path for character in _MAGIC)


def _root(path: str) -> str:
    """Return the folder above the first wildcard."""
    first = min(path.index(character) for character in _MAGIC if character in path)
    return path[:first].rpartition("/")[0]
