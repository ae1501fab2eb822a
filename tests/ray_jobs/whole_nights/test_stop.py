"""SIGTERM and Ctrl-C end a night cleanly wherever it is, and the same command goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import below

from scoring.tables import Store

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(900)]
FLAGS = ("--limit-train", "400", "--limit-test", "200", "--shard-rows", "50", "--cpus", "2")
FLAGS += ("--batch-rows", "50", "--recipe", "smoke", "--metrics", "adv_steps", "conf")


def start(store: Path, log: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "ray_jobs.rescore", "--store", str(store), *FLAGS]
    with log.open("wb") as file:
        # A shell's background job ignores Ctrl-C, and so would its children.
        return subprocess.Popen(
            command,
            stdout=file,
            stderr=file,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )


def at_work(store: Path) -> dict[str, Callable[[], bool]]:
    """By stage, whether it has begun."""
    return {
        "start": lambda: any((store / "jobs").glob("*.json")),
        "train": lambda: len(list(store.glob("runs/*/run.json"))) >= 2,
        "score": lambda: len(list(store.glob("staging/*/*.parquet"))) >= 4,
    }


@pytest.mark.parametrize(
    ("stage", "number", "code", "said"),
    [
        ("start", signal.SIGTERM, 143, "terminated"),
        ("train", signal.SIGTERM, 143, "terminated"),
        ("train", signal.SIGINT, 130, "interrupted"),
        ("score", signal.SIGTERM, 143, "terminated"),
    ],
)
def test_a_night_stops_cleanly(tmp_path, stage, number, code, said):
    store, log = tmp_path / "store", tmp_path / "log"
    process = start(store, log)
    ready, end = at_work(store)[stage], time.monotonic() + 500
    while not ready():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end
        time.sleep(0.05)
    children = below(process.pid)
    process.send_signal(number)
    assert process.wait(timeout=90) == code
    text = log.read_text()
    assert text.endswith(f"protoscore: {said}\n")
    assert "Traceback" not in text
    (job,) = (json.loads(path.read_text()) for path in store.glob("jobs/*.json"))
    assert job["state"] == "stopped"
    assert not any(is_there(pid) for pid in children)
    assert not list(store.rglob("*.partial"))
    made = {path: path.stat().st_mtime_ns for path in store.glob("runs/*/run.json")}
    again = start(store, log)
    assert again.wait(timeout=500) == 0, log.read_text()
    assert {path: path.stat().st_mtime_ns for path in made} == made
    assert len(Store(str(store)).scores()) == 2 * 600


def is_there(pid: int) -> bool:
    """Whether a process is still there, and not just waiting to be asked how it ended."""
    for _ in range(100):
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return False
        if state == "Z":
            return False
        time.sleep(0.1)
    return True
