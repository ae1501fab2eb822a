"""The nights that an evaluation judges."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ray_jobs.commands.rescore import deadline, ingested, run_night, train
from ray_jobs.night.plan import Plan, plan_night
from ray_jobs.night.request import Request, check
from ray_jobs.terminal.night_flags import NightFlags


def name_of(flags: NightFlags) -> str:
    """What the tables call the dataset that an evaluation is about, alterations aside."""
    plain = replace(flags.data, relabel=0.0, corrupted_copies=False)
    return flags.publish_as or plain.source().name


def run_nights(
    nights: Sequence[NightFlags], configs: Mapping[str, Any], command: str
) -> list[Plan]:
    """Run nights one after the other, after training the runs of all of them together.

    Args:
        nights: published under names of their own, so they replace what is published there.
        configs: metric name to its Config.
        command: what the user typed.

    Returns:
        Each night as planned once it is published: its data and runs are all known.

    Raises:
        PartlyPublished: runs failed or the time was over; the same command goes on.
        ProtoscoreError: something a user or the store did.
    """
    nights = [replace(night.night(), replace=True) for night in nights]
    until = min(map(deadline, nights))
    asked = [check(night, configs, writable=True) for night in nights]
    plans = [plan_night(a) for a in asked]
    if all(plan.nothing_to_do for plan in plans):
        return plans
    from ray_jobs.on_ray.cluster import cluster

    machine = nights[0].machine
    with cluster(machine.address, machine.cpus):
        _train_together(asked, until)
        for night in nights:
            run_night(night, configs, command, until)
    return [plan_night(a) for a in asked]


def _train_together(asked: Sequence[Request], until: float) -> None:
    """Train what the nights miss; a run that fails here fails, and is named, in its own night."""
    plans = [ingested(plan_night(a), until) for a in asked]
    data = plans[0].models.trained_on
    of_data = [plan for plan in plans if plan.models.trained_on == data]
    missing = dict.fromkeys(run for plan in of_data for run in plan.missing_runs)
    train(replace(plans[0], missing_runs=tuple(missing)), until)
