"""A folder of one's own, in a place where others may write too.

Its path proves nothing: others may have planted a folder or a link there, and may swap it later. So
it is opened once, without following a link, and checked; whatever is in it is then reached through
the open folder.
"""

import os
import platform
import stat
from contextlib import suppress
from pathlib import Path

from scoring.errors import Outage

_MARK = "made-by-protoscore"
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def open_private_folder(folder: Path, flag: str) -> int:
    """Open a folder that only this user can enter and only protoscore fills; make it if need be.

    Args:
        folder: the folder; its parent must exist.
        flag: the flag that says where it is, for error messages.

    Returns:
        A file descriptor of the folder.

    Raises:
        Outage: it belongs to somebody else, others may enter it, it is a link, it holds files of
            something else, or it cannot be made.
    """
    try:
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        got = "a link" if folder.is_symlink() else error.strerror
        raise _refusal(folder, flag, got) from None
    try:
        _check(opened)
    except (OSError, ValueError) as error:
        os.close(opened)
        raise _refusal(folder, flag, str(error)) from None
    return opened


def open_folder_within(parent: int, name: str) -> int:
    """Open a folder of this user's in an open folder, without following a link.

    Raises:
        OSError: there is none, it is no folder, or it is somebody else's.
    """
    opened = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    if not _is_private(os.fstat(opened)):
        os.close(opened)
        raise PermissionError(f"{name} is not this user's own")
    return opened


def _check(folder: int) -> None:
    """Check an open folder, and mark it if it is empty.

    Raises:
        ValueError: it cannot be trusted.
    """
    found = os.fstat(folder)
    if found.st_uid != os.geteuid():
        raise ValueError(f"a folder of user {found.st_uid}")
    if not _is_private(found):
        raise ValueError(f"one that others can enter (mode {stat.S_IMODE(found.st_mode):o})")
    names = os.listdir(folder)
    if not names:
        os.close(os.open(_MARK, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=folder))
    elif _MARK not in names:
        raise ValueError("files of something else in it")


def _is_private(found: os.stat_result) -> bool:
    return found.st_uid == os.geteuid() and not found.st_mode & _OTHERS


def _refusal(folder: Path, flag: str, got: str | None) -> Outage:
    return Outage(
        f"{flag}: expected {str(folder)!r} on {platform.node()} to be a folder of your own that "
        f"nobody else can enter, got {got}; remove it, or name another place"
    )
