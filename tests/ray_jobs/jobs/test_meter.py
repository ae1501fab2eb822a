"""What a job uses, by a clock of the test's own."""

import pytest

from ray_jobs.jobs.meter import HOUR_S, Meter
from ray_jobs.terminal.cap_flags import CapFlags


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now

    def pass_hours(self, hours):
        self.now += hours * HOUR_S


@pytest.fixture
def clock():
    return Clock()


def test_a_cluster_that_grows_and_shrinks_costs_what_was_there(clock):
    meter = Meter(CapFlags(usd_per_gpu_hour=2.0, usd_per_cpu_hour=0.1), clock)
    clock.pass_hours(5)  # planning, on no cluster yet
    for cpus, gpus, hours in ((4, 0, 1), (36, 8, 0.5), (68, 16, 0.25), (4, 0, 2)):
        meter.count(cpus, gpus)
        clock.pass_hours(hours)
    meter.stop()
    clock.pass_hours(7)
    used = meter.used()
    assert used.hours == pytest.approx(3.75)
    assert used.gpu_hours == pytest.approx(8 * 0.5 + 16 * 0.25)
    assert used.cpu_hours == pytest.approx(4 + 18 + 17 + 8)
    assert used.usd == pytest.approx(2.0 * 8 + 0.1 * 47)


def test_counting_more_often_changes_nothing(clock):
    meter = Meter(clock=clock)
    meter.count(2, 1)
    for _ in range(10):
        clock.pass_hours(0.1)
        meter.count(2, 1)
        meter.used()
    assert meter.used().gpu_hours == pytest.approx(1)
    assert meter.used().usd is None


def test_two_clusters_one_after_the_other_add_up(clock):
    meter = Meter(clock=clock)
    for _ in range(2):
        meter.count(2, 1)
        assert meter.counts
        clock.pass_hours(1)
        meter.stop()
        assert not meter.counts
        clock.pass_hours(10)
    assert meter.used().gpu_hours == pytest.approx(2)


@pytest.mark.parametrize(
    ("caps", "hours", "said"),
    [
        ({"max_gpu_hours": 8.0}, 2.0, "--max-gpu-hours: 8 GPU-hours ran out"),
        ({"max_usd": 6.0, "usd_per_gpu_hour": 1.5}, 1.0, "--max-usd: 6 USD ran out"),
        ({"max_usd": 6.0, "usd_per_cpu_hour": 0.5}, 0.75, "--max-usd: 6 USD ran out"),
        (
            {"max_usd": 9.0, "usd_per_gpu_hour": 2.0, "usd_per_cpu_hour": 0.25},
            0.75,
            "--max-usd: 9 USD ran out",
        ),
    ],
)
def test_a_cap_is_reached_when_its_hours_are(clock, caps, hours, said):
    meter = Meter(CapFlags(**caps), clock)
    meter.count(16, 4)
    clock.pass_hours(hours * 0.999)
    assert meter.over() == ""
    clock.pass_hours(hours * 0.002)
    assert meter.over() == said
    meter.stop()
    assert meter.over() == said


def test_without_caps_nothing_is_ever_over(clock):
    meter = Meter(CapFlags(usd_per_gpu_hour=3.0), clock)
    meter.count(1000, 1000)
    clock.pass_hours(1000)
    assert meter.over() == ""


def test_a_cluster_without_gpus_costs_no_gpu_hours(clock):
    meter = Meter(CapFlags(max_gpu_hours=1.0), clock)
    meter.count(64, 0)
    clock.pass_hours(100)
    assert meter.over() == ""
