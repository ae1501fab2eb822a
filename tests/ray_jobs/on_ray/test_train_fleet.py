"""Trainings on a real Ray that fail by chance, or lose their data."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from own_nets import FAILED_ONCE

from scoring.tables import Store

pytestmark = pytest.mark.ray
Rescore = Callable[..., int]


def test_a_night_survives_a_failing_run_and_lost_training_data(
    rescore_on_ray: Rescore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is tried again. The data is read again where it is needed.

    Ray would make the data again on a CPU, and the runs that wait for it hold all CPUs.
    """
    retried: list[int] = []
    monkeypatch.setattr(
        "ray_jobs.on_ray.train_fleet.retry_counter", lambda: lambda: retried.append(1)
    )
    monkeypatch.setattr("ray_jobs.on_ray.training_data.load_training_set", lambda *_: os._exit(1))
    FAILED_ONCE.unlink(missing_ok=True)
    flags = ("--limit-train", "60", "--limit-test", "30", "--metrics", "adv_steps")
    assert rescore_on_ray(*flags, "--net", "own_nets:fails_once") == 0
    assert FAILED_ONCE.exists()
    assert retried == [1]
    assert len(Store(str(tmp_path / "store")).scores()) == 90
