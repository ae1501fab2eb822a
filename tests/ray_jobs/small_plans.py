"""Requests and plans of small nights: 100 and 50 of scikit-learn's digits in shards of 50 rows."""

from pathlib import Path

from ray_jobs.night.forecast import Forecast, forecast
from ray_jobs.night.plan import Plan
from ray_jobs.night.request import Request, check
from ray_jobs.night.run import assess_and_plan
from ray_jobs.terminal.night_flags import NightFlags, parse

SMALL = ("--limit-train", "100", "--limit-test", "50", "--shard-rows", "50")


def request_of(store: str | Path, *flags: str) -> Request:
    """Return the request of a night on digits, or on what the flags say."""
    args = ["--store", str(store), *SMALL, "--recipe", "smoke", "--batch-rows", "50", *flags]
    return check(*parse(args, "rescore", "", NightFlags), writable=True)


def plan_of(store: str | Path, *flags: str) -> Plan:
    """Return the plan of a night whose data is all in the store."""
    _, plan = assess_and_plan(request_of(store, *flags))
    assert plan, "expected all data to be ingested"
    return plan


def forecast_of(store: str | Path, *flags: str) -> Forecast:
    """Return the forecast of a night, ingested or not."""
    return forecast(*assess_and_plan(request_of(store, *flags)))
