"""A Ray that a command starts: who can reach it, and what it imports."""

import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from processes import below

pytestmark = pytest.mark.ray
TRAPS = ("asyncio", "json", "logging", "numpy", "queue", "random", "socks", "torch", "yaml")
START = """
import sys
from importlib import import_module

from ray_jobs.on_ray.cluster import cluster

def work(names):
    for name in names:
        try:
            import_module(name)
        except ModuleNotFoundError:
            pass

with cluster("", 1):
    import ray
    ray.get(ray.remote(work).remote(sys.argv[1:]))
    print("started", flush=True)
    sys.stdin.read()
"""
LISTENING = "0A"
LOOPBACK = ("0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000")
"""127.0.0.1, the same as IPv6, and ::1, as the kernel writes them on this kind of machine."""


@dataclass(frozen=True)
class Started:
    """What a Ray was like, started in a folder of traps that is also the home folder."""

    folder: Path
    listening: dict[str, str]
    """Address and port, in hexadecimal, and the title of the process that listens there."""


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Started:
    folder, elsewhere = tmp_path_factory.mktemp("traps"), tmp_path_factory.mktemp("script")
    for name in TRAPS:
        (folder / f"{name}.py").write_text(f"open({str(folder / 'imported')!r}, 'w')\n")
    (elsewhere / "start.py").write_text(START)
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    code_under_test = str(Path(__file__).parents[3])
    process = subprocess.Popen(
        [sys.executable, str(elsewhere / "start.py"), *TRAPS],
        cwd=folder,
        env={**env, "PYTHONPATH": code_under_test, "HOME": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        titles = {process.pid: "driver", **below(process.pid)}
        return Started(folder=folder, listening=_listening(titles))
    finally:
        process.communicate("", timeout=60)


def _listening(titles: dict[int, str]) -> dict[str, str]:
    """Return where processes listen for TCP, by the kernel's own tables."""
    addresses = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENING:
                addresses[f"socket:[{fields[9]}]"] = fields[1]
    found = {}
    for pid, title in titles.items():
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed since
                if (link := os.readlink(file)) in addresses:
                    found[addresses[link]] = title
    return found


def test_it_listens_on_loopback_only(started: Started) -> None:
    assert len(started.listening) > 5
    open_to_others = {
        address: title
        for address, title in started.listening.items()
        if address.partition(":")[0] not in LOOPBACK
    }
    assert not open_to_others


def test_it_imports_nothing_from_the_current_folder(started: Started) -> None:
    assert not (started.folder / "imported").exists()


def test_its_token_is_in_no_file(started: Started) -> None:
    assert not (started.folder / ".ray" / "auth_token").exists()
