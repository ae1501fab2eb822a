"""Source files, local or on object storage: list them and notice when they change."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scoring.errors import BadData
from scoring.store.storage import filesystem

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
    """Return size and modification time of a local file, size and ETag of an object."""
    if info.get("islink"):  # the target may change without the link changing
        target = os.stat(info["name"])
        info = {"size": target.st_size, "mtime": target.st_mtime}
    revision = info.get("ETag") or info.get("mtime") or info.get("LastModified")
    return f"{info['size']}-{revision}"


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
        raise BadData(f"{flag}: cannot list {uri!r} ({type(error).__name__})") from error
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
        raise BadData(f"{flag}: cannot read {name!r} again ({type(error).__name__})") from error
    if now != expected:
        raise BadData(
            f"{flag}: expected {name!r} to stay unchanged, got another version; run again"
        )
    return found


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
