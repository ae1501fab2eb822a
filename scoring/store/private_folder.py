"""A folder on this machine that all processes of one user share, and that nobody else can write."""

import os
import stat
import tempfile
from pathlib import Path

from scoring.errors import UserError

_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def private_folder() -> Path:
    """Return a temporary folder of this user's own; make it unless it exists.

    Anybody can write in the machine's folder for temporary files, so a folder found there is only
    trusted if nobody else can have put anything into it.

    Raises:
        UserError: the folder belongs to somebody else, others may write in it, or it is a link.
    """
    user = os.getuid()
    folder = Path(tempfile.gettempdir()) / f"protoscore-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != user or found.st_mode & _OTHERS_MAY_WRITE:
        raise UserError(
            f"TMPDIR: expected {str(folder)!r} to be writable by you alone, got another folder; "
            "remove it, or set TMPDIR to a folder of your own"
        )
    return folder
