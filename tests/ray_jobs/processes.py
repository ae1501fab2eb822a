"""Processes of this machine, by whose children they are."""

import os
import signal
from contextlib import suppress
from pathlib import Path


def below(root: int) -> dict[int, str]:
    """The processes below `root`, and their titles."""
    parents, titles = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            # Processes may end while they are looked at.
            with suppress(FileNotFoundError, ProcessLookupError):
                stat = (folder / "stat").read_text().rpartition(")")[2].split()
                title = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                titles[int(folder.name)] = title.decode(errors="replace")
                parents[int(folder.name)] = int(stat[1])

    def descends(pid: int) -> bool:
        while pid in parents:
            pid = parents[pid]
            if pid == root:
                return True
        return False

    return {pid: title for pid, title in titles.items() if descends(pid)}


def kill_with_all_below(root: int) -> None:
    """End a process and what it has started, without asking."""
    for pid in (root, *below(root)):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
