"""Caps on a real Ray: what the cluster has is counted, and workers are told to begin no more."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_plans import SMALL

from ray_jobs.jobs.meter import HOUR_S, Meter
from ray_jobs.on_ray.metering import metering
from ray_jobs.on_ray.ray_engine import RayEngine
from ray_jobs.terminal.cap_flags import CapFlags
from scoring.tables import Store

pytestmark = pytest.mark.ray
NOTHING_LEFT = ("--max-usd", "1e-9", "--usd-per-cpu-hour", "1")


def test_workers_hear_of_a_cap_while_they_work(local_ray: None) -> None:
    now = [0.0]
    meter = Meter(CapFlags(max_usd=4.0, usd_per_cpu_hour=1.0), lambda: now[0])
    with metering(meter) as is_over:
        assert not is_over()
        with metering(meter) as within:
            assert not within()
        now[0] = 2.5 * HOUR_S  # two CPUs
        deadline = time.monotonic() + 30
        while not is_over() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert is_over()
        with metering(meter) as late:
            assert late()
    assert meter.used().cpu_hours == pytest.approx(5)
    assert not meter.counts


def test_a_cap_on_gpus_without_gpus_is_noted(
    local_ray: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with metering(Meter(CapFlags(max_gpu_hours=1.0))) as is_over:
        assert not is_over()
    assert capsys.readouterr().err == (
        "note: --max-gpu-hours counts GPUs, and the cluster has none\n"
    )
    with metering(Meter(CapFlags(max_usd=1.0, usd_per_cpu_hour=1.0))):
        pass
    assert capsys.readouterr().err == ""


def test_no_stage_begins_anything_over_the_cap(
    rescore_on_ray: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stage by stage: nothing is ingested, then nothing trained, then nothing scored."""
    flags = (*SMALL, "--metrics", "msp", "gradient_norm")
    store, over = tmp_path / "store", "protoscore: error: --max-usd: 1e-09 USD ran out"

    def last_line() -> str:
        return capsys.readouterr().err.splitlines()[-1]

    assert rescore_on_ray(*flags, *NOTHING_LEFT) == 4
    assert last_line().startswith(f"{over} with 0 of 3 shards ingested; ")
    assert rescore_on_ray(*SMALL, "--metrics", "msp", "--as", "before", "--seed", "1") == 0
    capsys.readouterr()
    assert rescore_on_ray(*flags, *NOTHING_LEFT) == 4
    assert last_line() == f"{over} with 0 of 1 runs trained; nothing was published"
    before = sorted(store.glob("staging/*/*"))
    assert rescore_on_ray(*flags, "--seed", "1", *NOTHING_LEFT) == 3
    assert last_line().startswith(f"{over}; not published: gradient_norm; ")
    assert sorted(store.glob("staging/*/*")) == before
    assert rescore_on_ray(*flags, "--seed", "1") == 0
    assert len(Store(str(store)).sql("from nights")) == 3


def test_a_night_that_ends_while_features_are_staged_ends_in_one_line(
    rescore_on_ray: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    train = RayEngine.train

    def train_until_the_cap(self: RayEngine, *args: Any, **kwargs: Any) -> Any:
        missing = train(self, *args, **kwargs)
        self.meter.count(1e12, 0.0)
        while not self.is_over():
            time.sleep(0.1)
        return missing

    monkeypatch.setattr(RayEngine, "train", train_until_the_cap)
    caps = ("--max-usd", "1000", "--usd-per-cpu-hour", "1")
    assert rescore_on_ray(*SMALL, "--metrics", "representer_self", *caps) == 4
    assert capsys.readouterr().err.splitlines()[-1] == (
        "protoscore: error: --max-usd: 1000 USD ran out with 1 of 2 runs trained; nothing was "
        "published"
    )
