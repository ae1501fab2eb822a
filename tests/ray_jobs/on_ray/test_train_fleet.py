"""Trainings on a real Ray that fail by chance, or lose their data."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from own_nets import FAILED_ONCE

from scoring.tables import Store

pytestmark = pytest.mark.ray
Rescore = Callable[..., int]


def test_a_run_that_fails_by_chance_is_tried_again(
    rescore_on_ray: Rescore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    retried: list[int] = []
    monkeypatch.setattr(
        "ray_jobs.on_ray.train_fleet.retry_counter", lambda: lambda: retried.append(1)
    )
    FAILED_ONCE.unlink(missing_ok=True)
    flags = ("--limit-train", "60", "--limit-test", "30", "--metrics", "adv_steps")
    assert rescore_on_ray(*flags, "--net", "own_nets:fails_once") == 0
    assert FAILED_ONCE.exists()
    assert retried == [1]
    assert len(Store(str(tmp_path / "store")).scores()) == 90


def test_training_data_that_dies_with_its_node_is_read_anew(
    rescore_on_ray: Rescore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray would make it again on a CPU, and the runs that wait for it hold them all."""
    monkeypatch.setattr("ray_jobs.on_ray.training_data.load_training_set", lambda *_: os._exit(1))
    assert (
        rescore_on_ray("--limit-train", "60", "--limit-test", "30", "--metrics", "adv_steps") == 0
    )
    assert len(Store(str(tmp_path / "store")).scores()) == 90
