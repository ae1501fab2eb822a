"""Kill anything, run the same command again: the published rows equal an undisturbed run's.

Each night runs as a user's would, in a process of its own with a Ray of its own.
"""

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

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(600)]
FLAGS = ("--limit-train", "400", "--limit-test", "200", "--shard-rows", "50")
FLAGS += ("--batch-rows", "50", "--recipe", "smoke", "--cpus", "2")
COLUMNS = "dataset, split, metric, example_id, name, label, predicted, value, spread, status, rank"


def night(store: Path, *more: str) -> "subprocess.Popen[bytes]":
    command = [
        sys.executable,
        "-m",
        "ray_jobs.rescore",
        "--store",
        str(store),
        *FLAGS,
        *more,
    ]
    log = (store.parent / f"{store.name}.log").open("ab")
    return subprocess.Popen(command, stdout=log, stderr=log)


def finish(process: "subprocess.Popen[bytes]", store: Path) -> None:
    code = process.wait(timeout=400)
    assert code == 0, (store.parent / f"{store.name}.log").read_text()[-3000:]


def wait_for(
    process: "subprocess.Popen[bytes]", what: str, ready: Callable[[], bool], timeout: float = 300
) -> None:
    deadline = time.monotonic() + timeout
    while not ready():
        assert process.poll() is None, f"the night ended before {what}"
        assert time.monotonic() < deadline, f"expected {what} within {timeout} s"
        time.sleep(0.02)


def count(store: Path, pattern: str) -> int:
    return len(list(store.glob(pattern)))


def scorers(process: "subprocess.Popen[bytes]") -> list[int]:
    title = "ray::MapWorker(MapBatches(_Actor))"
    return [pid for pid, each in below(process.pid).items() if each.startswith(title)]


def kill(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def published(store: Path, *metrics: str) -> list[tuple[object, ...]]:
    table = Store(str(store)).sql(f"select {COLUMNS} from scores order by all").to_pylist()
    return [tuple(row.values()) for row in table if not metrics or row["metric"] in metrics]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("nights") / "undisturbed"
    finish(night(store), store)
    return store


def test_the_driver_killed_in_training_and_in_scoring_then_a_worker(
    undisturbed: Path, tmp_path: Path
) -> None:
    store = tmp_path / "killed"
    process = night(store)
    wait_for(process, "three runs", lambda: count(store, "runs/*/run.json") >= 3)
    kill(process)
    trained = count(store, "runs/*/run.json")
    assert 3 <= trained < 27
    assert not (store / "tables").exists()

    process = night(store)
    wait_for(process, "six staged shards", lambda: count(store, "staging/*/*.parquet") >= 6)
    kill(process)
    staged = {p: p.stat().st_mtime_ns for p in store.glob("staging/*/*.parquet")}
    assert len(staged) < count(undisturbed, "staging/*/*.parquet")
    assert count(store, "runs/*/run.json") == 27

    process = night(store)
    more = len(staged) + 3
    # A killed driver's workers live on for a moment: what they stage says nothing of this night's.
    wait_for(process, "a scorer", lambda: bool(scorers(process)))
    wait_for(process, "another shard", lambda: count(store, "staging/*/*.parquet") >= more)
    os.kill(scorers(process)[0], signal.SIGKILL)
    finish(process, store)
    assert {p: p.stat().st_mtime_ns for p in staged} == staged  # what was done stayed done
    assert published(store) == published(undisturbed)


def test_two_nights_at_once(undisturbed: Path, tmp_path: Path) -> None:
    store = tmp_path / "twice"
    metrics = ("adv_steps", "conf", "ret")
    first, second = night(store, "--metrics", *metrics), night(store, "--metrics", *metrics)
    finish(first, store)
    finish(second, store)
    assert published(store) == published(undisturbed, *metrics)
    assert "error" not in (store.parent / "twice.log").read_text().lower()


def test_two_nights_at_once_with_metrics_of_their_own(tmp_path: Path) -> None:
    store = tmp_path / "beside"
    first, second = night(store, "--metrics", "conf"), night(store, "--metrics", "adv_steps")
    finish(first, store)
    finish(second, store)
    rows = Store(str(store)).sql("select metric, count(*) as n from scores group by 1 order by 1")
    assert rows.to_pylist() == [{"metric": "adv_steps", "n": 600}, {"metric": "conf", "n": 600}]
    assert len(Store(str(store)).nights()) == 2
