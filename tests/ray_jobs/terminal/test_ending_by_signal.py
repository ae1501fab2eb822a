"""SIGTERM and Ctrl-C end a job cleanly: record, staged files, exit code, and no traceback."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ray_jobs.terminal.signals import ending_cleanly, interruption, kept_handlers
from scoring.errors import Terminated

JOB = """
import sys, time
from ray_jobs.jobs.lease import writing_job
from ray_jobs.terminal.console import run_job
from scoring.store.storage import Storage

def main(argv):
    storage = Storage(sys.argv[1])
    try:
        with writing_job(storage, "rescore", command="protoscore rescore", job_id="j1"):
            storage.write("staging/conf/x.parquet", b"x")
            print("at work", flush=True)
            time.sleep(600)
    finally:
        print("cleaning", flush=True)
        if "slow" in sys.argv:
            time.sleep(600)
        print("clean", flush=True)
    return 0

sys.exit(run_job(main, []))
"""


@contextmanager
def job(store: Path, *more: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", JOB, str(store), *more]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command,
        stdout=pipe,
        stderr=pipe,
        text=True,
        # Tests in the background of a script ignore SIGINT, and so would the job.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        yield process
        process.kill()


@pytest.mark.parametrize(
    ("number", "code", "said", "by"),
    [
        (signal.SIGTERM, 143, "protoscore: terminated\n", "SIGTERM"),
        (signal.SIGINT, 130, "protoscore: interrupted\n", "Ctrl-C"),
    ],
)
def test_the_first_signal_ends_a_job_cleanly(tmp_path, number, code, said, by):
    with job(tmp_path) as process:
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (code, said)
    assert out == "cleaning\nclean\n"
    record = json.loads((tmp_path / "jobs/j1.json").read_text())
    assert (record["state"], record["said"]) == ("stopped", by)
    assert (tmp_path / "staging/conf/x.parquet").exists()


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_the_second_signal_ends_it_at_once(tmp_path, second):
    with job(tmp_path, "slow") as process:
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "cleaning\n"
        process.send_signal(second)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (128 + second, "")
    assert err == "protoscore: ended at once\n"


def test_handlers_are_those_of_before_afterwards():
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with pytest.raises(Terminated), ending_cleanly():
        signal.raise_signal(signal.SIGTERM)
    with kept_handlers():  # as around ray.init, which sets its own
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_a_signal_is_known_even_if_somebody_else_raises():
    with pytest.raises(Terminated), ending_cleanly():
        signal.raise_signal(signal.SIGTERM)
    assert type(interruption()) is Terminated
    with ending_cleanly():
        assert type(interruption()) is KeyboardInterrupt


def test_an_ignored_signal_stays_ignored():
    with kept_handlers():
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in a script's background job
        with ending_cleanly():
            signal.raise_signal(signal.SIGINT)
