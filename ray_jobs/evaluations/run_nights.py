"""The nights that an evaluation runs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ray_jobs.engine import Engine, engine
from ray_jobs.jobs.meter import Meter
from ray_jobs.night.plan import Plan
from ray_jobs.night.request import Request, check
from ray_jobs.night.run import assess_and_plan, ingest_and_plan, run_night, train
from ray_jobs.terminal.night_flags import NightFlags


def name_of(flags: NightFlags) -> str:
    """Return the name to publish findings under: that of the dataset before alterations."""
    plain = replace(flags.data, relabel=0.0, corrupted_copies=False)
    return flags.publish_as or plain.source().name


def prepare(nights: Sequence[NightFlags], configs: Mapping[str, Any]) -> list[Request]:
    """Check nights against their sources and the store, before any work.

    Args:
        nights: flags of nights that publish under names of their own; they replace what is
            published there.
        configs: Config by metric name.

    Raises:
        UserError: a night cannot be run.
    """
    alone = [replace(night.night(), replace=True) for night in nights]
    requests = [check(night, configs, writable=True) for night in alone]
    for request in requests:
        assess_and_plan(request)
    return requests


def run_nights(requests: Sequence[Request], command: str) -> list[Plan]:
    """Train the runs of several nights together, then run the nights one after the other.

    Args:
        requests: the nights' requests, all for one store, one cluster and the same caps.
        command: what the user typed.

    Returns:
        The plan of each night, now published.

    Raises:
        PartlyPublished: runs failed or a cap was reached; the same command continues.
        ProtoscoreError: a night published nothing.
    """
    meter = Meter(requests[0].flags.caps)
    plans = [assess_and_plan(request)[1] for request in requests]
    if not all(plan and plan.nothing_to_do for plan in plans):
        with engine(requests[0].flags.machine, requests[0].publish_as, meter) as cluster:
            _train_together(cluster, requests)
            for request in requests:
                run_night(request, command, meter)
        plans = [assess_and_plan(request)[1] for request in requests]
    return [plan for plan in plans if plan]


def _train_together(engine: Engine, requests: Sequence[Request]) -> None:
    """Train what the nights lack. A run that fails here fails in its own night, which names it."""
    plans = [ingest_and_plan(engine, *assess_and_plan(request)) for request in requests]
    data = plans[0].models.trained_on
    alike = [plan for plan in plans if plan.models.trained_on == data]
    missing = dict.fromkeys(run for plan in alike for run in plan.missing_runs)
    train(engine, replace(plans[0], missing_runs=tuple(missing)))
