"""A stage that stands still says what it waits for."""

import threading
import time

import pytest

from ray_jobs.jobs import stalls
from ray_jobs.jobs.progress import Progress
from ray_jobs.jobs.stalls import explaining, watching


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(stalls, "FIRST_S", 0.1)


def lines(capsys, count, seconds=10.0):
    """Wait for so many lines about standing still; returns all of them."""
    said, end = "", time.monotonic() + seconds
    while said.count("nothing done") < count and time.monotonic() < end:
        threading.Event().wait(0.01)
        said += capsys.readouterr().err
    return [line for line in said.splitlines() if "nothing done" in line]


def test_a_stage_says_what_is_left_and_why_at_growing_intervals(capsys):
    began = time.monotonic()
    with explaining(lambda: "the cluster has 0 of 2 CPUs free"), Progress("train", 5, "run") as p:
        p.advance(3)
        said = lines(capsys, 3)
    assert said[0] == (
        "train: nothing done for 0 minutes; waiting for 2 of 5 runs; "
        "the cluster has 0 of 2 CPUs free"
    )
    assert time.monotonic() - began > 0.4


def test_a_stage_that_moves_says_nothing(capsys, monkeypatch):
    monkeypatch.setattr(stalls, "FIRST_S", 2.0)  # a busy machine may take a second's nap
    with Progress("score", 100, "shard") as progress:
        for _ in range(30):
            threading.Event().wait(0.1)
            progress.advance()
    assert lines(capsys, 1, seconds=0.3) == []


def test_any_block_can_be_watched_even_if_nobody_knows_why(capsys):
    def unknown():
        raise ConnectionError("hunter2")

    with explaining(unknown), explaining(lambda: ""), watching("start", "Ray"):
        (said,) = lines(capsys, 1)
    assert said == (
        "start: nothing done for 0 minutes; waiting for Ray; "
        "the cluster does not say (ConnectionError)"
    )


def test_five_minutes_are_the_limit(monkeypatch):
    monkeypatch.undo()
    assert stalls.FIRST_S <= 300
