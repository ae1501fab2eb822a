"""Source files, local or on object storage: which there are, and whether they have changed."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scoring.errors import BadData
from scoring.store.storage import filesystem

_MAGIC = "*?["
_HIDDEN = (".", "_")  # how Hadoop's kin name markers, and files not yet complete


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
    """Whether only the machine at hand can read `uri`."""
    return "://" not in uri or uri.startswith("file://")


def fingerprint(info: Mapping[str, Any]) -> str:
    """Size and modification time of a local file, size and ETag of an object."""
    if info.get("islink"):  # what it points to may change, the link does not
        target = os.stat(info["name"])
        info = {"size": target.st_size, "mtime": target.st_mtime}
    mark = info.get("ETag") or info.get("mtime") or info.get("LastModified")
    return f"{info['size']}-{mark}"


def list_files(uri: str, suffix: str, flag: str) -> list[SourceFile]:
    """The file, the files of a folder or those of a glob, sorted by name.

    Args:
        uri: local or on object storage. Hidden files of a folder or glob are passed over.
        suffix: how the names of a folder's files must end.
        flag: the flag that gave `uri`, for messages.

    Raises:
        BadData: none there, or it cannot be listed.
    """
    try:
        root, found = _find(uri, suffix)
        files = [
            SourceFile(name=path.removeprefix(f"{root}/"), path=path, fingerprint=fingerprint(info))
            for path, info in found.items()
        ]
    except Exception as error:  # every filesystem's driver has errors of its own
        raise BadData(f"{flag}: cannot list {uri!r} ({type(error).__name__})") from error
    if not files:
        raise BadData(f"{flag}: expected {suffix} files, got none at {uri!r}")
    return sorted(files)


def locate(uri: str, name: str, flag: str, expected: str) -> str:
    """The path of a file that `list_files` found, unless it has changed since.

    Args:
        uri: what was listed.
        name: the file's.
        flag: the flag that gave `uri`, for messages.
        expected: the file's fingerprint.

    Raises:
        BadData: it is gone or has changed.
    """
    fs, path = filesystem(uri)
    try:
        root = _root(path) if _is_glob(path) and not fs.isdir(path) else path
        found = path if fs.isfile(path) else f"{root}/{name}"
        now = fingerprint(fs.info(found))
    except Exception as error:
        raise BadData(f"{flag}: cannot read {name!r} again ({type(error).__name__})") from error
    if now != expected:
        raise BadData(f"{flag}: expected {name!r} to hold still, it has changed; run again")
    return found


def _find(uri: str, suffix: str) -> tuple[str, dict[str, dict[str, Any]]]:
    """The folder that names are below, and the information on each file by path."""
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
    shown = {n: i for n, i in found.items() if not n.rpartition("/")[2].startswith(_HIDDEN)}
    return root, shown


def _is_glob(path: str) -> bool:
    return any(character in path for character in _MAGIC)


def _root(path: str) -> str:
    """The folder above the first wildcard."""
    first = min(path.index(character) for character in _MAGIC if character in path)
    return path[:first].rpartition("/")[0]
