"""What a worker raises comes out on the driver as itself, whichever part of Ray called it."""

import errno
import gc
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import ray
from image_files import encode, pixels
from ray.exceptions import OutOfMemoryError, RayTaskError, WorkerCrashedError

from ray_jobs import on_ray
from ray_jobs.engine import Engine, engine
from ray_jobs.on_ray import for_each as for_each_module
from ray_jobs.on_ray.cluster import ACTOR_RETRIES, TASK_RETRIES
from ray_jobs.on_ray.errors import FromWorker, told
from ray_jobs.on_ray.waiting import asking
from ray_jobs.terminal.console import run_job
from ray_jobs.terminal.night_flags import MachineFlags
from scoring.errors import (
    BadData,
    Damaged,
    InternalError,
    Outage,
    ProtoscoreError,
    TrainingDiverged,
    UnknownName,
    UserError,
)

pytestmark = pytest.mark.ray


@pytest.fixture
def cluster(local_ray):
    with engine(MachineFlags(batch_rows=50)) as opened:
        yield opened
    gc.collect()  # a pipeline that failed is a cycle, which holds actors and their CPUs


RAISED = {
    "bad data": partial(BadData, "--train: expected a, got b"),
    "unknown": partial(UnknownName, "--net", "lstm", ["cnn"]),
    "damaged": partial(Damaged, "run.json: expected what was written, got half of it"),
    "diverged": partial(TrainingDiverged, "the loss is no number"),
}


def ways(cluster: Engine, error: Callable[[], Exception]):
    """Calls of the engine in which a worker raises: in a task, per item, and when it begins."""

    def fail(*_):
        raise error()

    yield lambda: cluster.call(fail)
    yield lambda: cluster.for_each("try", "item", lambda: fail, [1, 2])
    yield lambda: cluster.for_each("try", "item", fail, [1, 2])


@pytest.mark.parametrize("name", RAISED)
def test_an_error_raised_on_purpose_is_itself(cluster, name):
    make = RAISED[name]
    check(next(ways(cluster, make)), make())


def test_so_it_is_wherever_it_is_raised(cluster, capfd):
    make = RAISED["unknown"]  # made from three arguments, which pickle does not keep
    for way in ways(cluster, make):
        check(way, make())
    assert "Traceback" not in "".join(capfd.readouterr())


def check(way: Callable[[], object], expected: Exception) -> None:
    with pytest.raises(ProtoscoreError) as raised:
        way()
    assert (type(raised.value), str(raised.value)) == (type(expected), str(expected))


def test_an_outage_on_a_worker_is_an_outage(cluster):
    full = partial(OSError, errno.ENOSPC, os.strerror(errno.ENOSPC), "/store/x")
    _, per_item, _ = ways(cluster, full)
    with pytest.raises(Outage, match=r"^No space left on device \(/store/x\); make room"):
        per_item()


def test_a_mistake_of_ours_is_one_line_and_a_file(cluster, capfd):
    _, per_item, _ = ways(cluster, partial(KeyError, "hunter2"))
    assert run_job(lambda _: per_item()) == 1
    out, err = capfd.readouterr()
    (line,) = [line for line in err.splitlines() if "internal error" in line]
    assert line.startswith("protoscore: internal error: KeyError on a worker; please report it ")
    assert "Traceback" not in out + err
    text = Path(line.split(" with ")[1].split(" (")[0]).read_text()
    assert "in fail" in text
    assert "KeyError: 'hunter2'" in text


def test_a_worker_that_dies_is_an_outage_with_advice(cluster):
    with pytest.raises(Outage, match=r"a worker died \(WorkerCrashedError\), .*lower --cpus"):
        cluster.call(_die)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.timeout(600)
def test_an_item_that_kills_its_workers_ends_the_stage(cluster, monkeypatch, capfd):
    monkeypatch.setattr(
        for_each_module, "ACTOR_RETRIES", {"max_restarts": 1, "max_task_retries": 1}
    )
    with pytest.raises(Outage, match=r"a worker died \(ActorDiedError\)"):
        cluster.for_each("try", "item", lambda: lambda _: _die(), [1])
    out, err = capfd.readouterr()
    assert "Traceback" not in out + err
    assert len(err.splitlines()) < 12  # Ray says fifty lines about each death


def test_nobody_tries_for_ever():
    assert -1 not in (*TASK_RETRIES.values(), *ACTOR_RETRIES.values())
    assert int(on_ray._SETTINGS["RAY_task_oom_retries"]) > 0


def test_killed_for_want_of_memory():
    for error in (OutOfMemoryError("x"), WorkerCrashedError()):
        assert "want of memory" in str(told(error))
        assert isinstance(told(error), Outage)
        assert "run the same command again" in str(told(error))


def test_what_ray_adds_to_an_error_is_left_out():
    wrapped = RayTaskError("f", "Traceback ...", FromWorker(UserError, "--n: got 2", "text", "Ray"))
    error = told(wrapped.as_instanceof_cause())
    assert (type(error), str(error)) == (UserError, "--n: got 2")
    mistake = told(RayTaskError("f", "Traceback ...", KeyError("x")))
    assert (type(mistake), str(mistake)) == (InternalError, "KeyError on a worker")


def test_bad_data_found_by_a_reader_is_bad_data(rescore_on_ray, capfd, tmp_path):
    """The layout says 8x8, as the first hundred images are; one of a later shard is larger."""
    for split, names in (("train", range(120)), ("test", range(3))):
        folder = tmp_path / "images" / split / "ant"
        folder.mkdir(parents=True)
        for i in names:
            size = 9 if i == 110 else 8
            (folder / f"{i:03}.png").write_bytes(encode(pixels(i, size, size)))
    source = ("--dataset", "image_folder", "--data-root", str(tmp_path / "images"))
    assert rescore_on_ray(*source, "--shard-rows", "50") == 2
    out, err = capfd.readouterr()
    assert "protoscore: error: ant row 110: expected images of 8x8 like the first one" in err
    assert "Traceback" not in out + err


def test_a_stage_says_at_once_what_no_node_has(local_ray, capsys):
    with asking("train", "a trial", {"CPU": 64, "GPU": 0.0}):
        assert capsys.readouterr().err == (
            "train: a trial takes 64 CPUs, and no node has that; waiting for one\n"
        )
    with asking("score", "a worker", {"CPU": 0.75, "memory": 2.0**50}):
        said = capsys.readouterr().err
    assert "a worker takes 0.75 CPUs and 1125899.9 GB of memory, and no node has that" in said


def test_a_stage_that_waits_says_how_busy_the_cluster_is(local_ray, capsys):
    from ray_jobs.jobs import stalls

    with asking("train", "a trial", {"CPU": 1}):
        assert capsys.readouterr().err == ""
        (said,) = [reason() for reason in stalls._reasons]
    assert said.startswith("the cluster has ")
    assert said.endswith(" of 2 CPUs free")
    assert ray.is_initialized()
