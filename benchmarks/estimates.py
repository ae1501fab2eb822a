"""Compare how long a night takes with what its plan said, on digits and on this machine."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.jobs import result
from ray_jobs.night.estimate import earlier_rates, estimate
from ray_jobs.night.forecast import forecast
from ray_jobs.night.request import check
from ray_jobs.night.run import assess_and_plan
from ray_jobs.night.trial import try_out
from ray_jobs.terminal.night_flags import NightFlags, parse

_FLAGS = ("--dataset", "digits", "--metrics", "conf", "adv_l2", "vog", "ret", "--cpus", "2")
FIRST = (*_FLAGS, "--limit-train", "600", "--limit-test", "150")
SECOND = (*_FLAGS, "--models", "retrain", "--replace")


def measure() -> list[dict[str, object]]:
    """Run two nights: the first is planned by a trial, the second by the first."""
    with tempfile.TemporaryDirectory() as folder:
        store = f"{folder}/store"
        tried = _planned(store, *FIRST, trial=True)
        first = _night(folder, store, *FIRST)
        planned = _planned(store, *SECOND)
        second = _night(folder, store, *SECOND)
    return [
        result("trial_vs_night", tried / first, "x", "0.5 to 2", _note(tried, first)),
        result("plan_vs_night", planned / second, "x", "0.5 to 2", _note(planned, second)),
    ]


def _planned(store: str, *flags: str, trial: bool = False) -> float:
    """Return how many seconds a night is expected to take."""
    request = check(*parse(["--store", store, *flags], "plan", "", NightFlags), writable=False)
    ahead = forecast(*assess_and_plan(request))
    shape, earlier = earlier_rates(ahead)
    hours = estimate(ahead, shape, try_out(ahead) if trial else earlier).hours
    assert hours is not None, "expected rates for everything that the night does"
    return 3600 * hours


def _night(folder: str, store: str, *flags: str) -> float:
    """Return how many seconds a night takes."""
    summary = Path(folder, "summary.json")
    command = [sys.executable, "-m", "ray_jobs.rescore", "--store", store, *flags]
    command += ["--summary", str(summary)]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return float(json.loads(summary.read_text())["night"]["seconds"])


def _note(planned: float, taken: float) -> str:
    return f"a night on digits: planned {planned:.0f} s, took {taken:.0f} s"
