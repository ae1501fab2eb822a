"""Where temporary files go, and what is said if their disk is full or fails."""

import errno
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scoring.errors import Outage
from scoring.store.outages import is_full

SCRATCH_FLAG = "--scratch or $PROTOSCORE_SCRATCH"
_CANNOT_WRITE = {errno.EIO, errno.EROFS, errno.EFBIG, errno.ELOOP}
_CANNOT_LOCK = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
_SPARE_BYTES = 100 << 20  # left free for others, or 5 % if that is more


def scratch_parent(flag: str = "") -> Path:
    """Return where temporary files go: `flag`, else $PROTOSCORE_SCRATCH, else $TMPDIR or /tmp."""
    return Path(flag or os.environ.get("PROTOSCORE_SCRATCH") or tempfile.gettempdir()).absolute()


def check_space(folder: Path, size: int) -> None:
    """Check that a disk has room for `size` bytes and some more.

    Raises:
        Outage: it has less.
    """
    needed = size + max(size // 20, _SPARE_BYTES)
    if shutil.disk_usage(folder).free < needed:
        raise _too_small(folder, needed)


@contextmanager
def disk_errors(folder: Path, size: int) -> Iterator[None]:
    """Turn an error of a folder's disk into one line.

    Args:
        folder: the folder.
        size: bytes that it was to take; 0: not known.

    Raises:
        Outage: the disk is full or fails; other errors pass.
    """
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise _too_small(folder, size) from None
        if error.errno in _CANNOT_WRITE | _CANNOT_LOCK:
            raise Outage(
                f"{SCRATCH_FLAG}: expected a disk that can be written and locked under "
                f"{str(folder)!r} on {platform.node()}, got {error.strerror}"
            ) from None
        raise


def _too_small(folder: Path, needed: int) -> Outage:
    free = shutil.disk_usage(folder).free
    wanted = f"{_gigabytes(needed)} free" if needed else "more room"
    return Outage(
        f"{SCRATCH_FLAG}: expected {wanted} in {str(folder)!r} on "
        f"{platform.node()}, got {_gigabytes(free)}; make room, or name a larger disk"
    )


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.3g} GB"
