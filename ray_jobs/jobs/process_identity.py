"""Which process is at work, told apart from all that have had or will have its number.

A number means something only to processes that share a start of the kernel and a set of numbers (a
container has its own), so both belong to an identity, and so does the moment at which the process
started. Where there is no /proc, nothing is known.
"""

import os
from dataclasses import dataclass
from pathlib import Path

_STATE, _STARTED = 0, 19  # among the fields of /proc/<pid>/stat that follow the name
_ENDED = ("Z", "X")  # states of a process that has ended, though its parent has not asked how


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process of this machine or of another one."""

    pid: int
    space: str
    """Where its number counts: a start of a kernel and a set of numbers; "" if unknown."""
    started: str
    """When it started, in ticks of the kernel; "" if unknown."""

    def is_alive(self) -> bool | None:
        """Whether the process is still there; None if that cannot be told from here."""
        if not self.started or not self.space or self.space != _space():
            return None
        try:
            os.kill(self.pid, 0)  # asks without sending a signal
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # it is somebody else's
        stat = _stat(self.pid)
        if stat is None:
            return None
        return stat[_STARTED] == self.started and stat[_STATE] not in _ENDED


def this_process() -> Process:
    """Return the identity of this process."""
    stat = _stat(os.getpid())
    return Process(pid=os.getpid(), space=_space(), started=stat[_STARTED] if stat else "")


def _space() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _stat(pid: int) -> list[str] | None:
    """Return the fields after a process's name; None if they cannot be read."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    return stat.rpartition(")")[2].split()  # the name may hold anything
