"""Which errors are no mistake of ours: the machine or the store failed, and may be well later.

Their messages name a file and what the system says about it, never what a driver says, since
drivers quote requests and signatures.
"""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scoring.errors import Outage, ProtoscoreError, UserError

AGAIN = "run the same command again"
_NO_PATH = {errno.ENAMETOOLONG, errno.ELOOP}
_FULL = {errno.ENOSPC, errno.EDQUOT}
_REFUSED = {errno.EROFS, errno.EACCES, errno.EPERM}
_SHORT = {errno.EMFILE, errno.ENFILE}
_FAILING = {
    getattr(errno, name)
    for name in ("EIO", "EREMOTEIO", "ESTALE", "ENXIO", "ENODEV", "EBUSY", "EHOSTDOWN", "ENOTCONN")
    if hasattr(errno, name)
}
_DRIVERS = ("botocore.", "aiobotocore.", "aiohttp.", "urllib3.")
_OF_A_DELTA_STORE = re.compile(r"Generic \w+ error|Kernel error -> Generic")
_OS_ERROR = re.compile(r"\(os error (\d+)\)")
_HTTP_STATUS = re.compile(r"\b[45]\d\d( [A-Z][a-z]+)+")


def known(error: BaseException) -> ProtoscoreError | None:
    """Return an error raised on purpose, or what is behind another; None: it is our mistake."""
    if isinstance(error, ProtoscoreError):
        return error
    if isinstance(error, OSError) and error.errno in _NO_PATH:
        said = os.strerror(error.errno)
        return UserError(f"expected a path that can be, got {error.filename!r} ({said})")
    if said := _outage(error):
        return Outage(said)
    return known(error.__cause__) if error.__cause__ else None


def is_full(error: OSError) -> bool:
    """Whether a disk or a quota is full."""
    return error.errno in _FULL


def is_refusal(error: OSError) -> bool:
    """Whether writing or reading is not allowed, so that trying again changes nothing."""
    return error.errno in _REFUSED or isinstance(error, PermissionError)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let the error of a disk that fills up name the file that was being written."""
    try:
        yield
    except OSError as error:
        if is_full(error) and error.filename is None:
            error.filename = str(path)
        raise


def http_status(error: BaseException) -> str:
    """Return the HTTP status that an error's message holds, or the error's name."""
    found = _HTTP_STATUS.search(str(error))
    return found.group() if found else type(error).__name__


def _outage(error: BaseException) -> str:
    """Say what failed and what to do; "" if it is no outage."""
    if isinstance(error, MemoryError):
        flags = "--train-memory-gb, --cache-memory-gb, --batch-rows or --cpus"
        return f"out of memory; lower {flags}, then {AGAIN}"
    if isinstance(error, OSError) and (said := _of_a_file(error)):
        return said
    away = isinstance(error, ConnectionError | TimeoutError)
    if _OF_A_DELTA_STORE.search(str(error)):
        found = _OS_ERROR.search(str(error))
        if found and (said := _of_a_file(OSError(int(found[1]), ""))):
            return said
        away = not http_status(error).startswith("4")
    if away or type(error).__module__.startswith(_DRIVERS):
        return f"the store did not answer ({http_status(error)}); {AGAIN} when it does"
    return ""


def _of_a_file(error: OSError) -> str:
    said = os.strerror(error.errno) if error.errno else "Permission denied"
    where = f"{said} ({error.filename})" if error.filename else said
    if error.errno in _FULL:
        return f"{where}; make room, for example by protoscore vacuum, then {AGAIN}"
    if is_refusal(error):
        return f"{where}; allow it, then {AGAIN}"
    if error.errno in _SHORT:
        return f"{where}; raise `ulimit -n`, then {AGAIN}"
    return f"{where}; {AGAIN}" if error.errno in _FAILING else ""
