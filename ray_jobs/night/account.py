"""The account of a night: what it used, and how fast its work went."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime

from ray_jobs.jobs.account import Account
from ray_jobs.jobs.lease import Lease
from ray_jobs.jobs.meter import Meter, Used
from ray_jobs.jobs.pace import Pace, added_up
from ray_jobs.jobs.progress import Stage
from ray_jobs.night.cluster_shape import ClusterShape, shared, slots
from ray_jobs.night.night_record import Night
from ray_jobs.night.situation import Situation
from ray_jobs.night.summary import Summary

STAGES = {"ingest": ("ingest",), "train": ("train", "features", "solve"), "score": ("score",)}
"""What forecasts tell apart, and the stages that each consists of."""
OTHER = "other"


@contextmanager
def accounting(
    job: Lease, situation: Situation, night: Night, summary: Summary, meter: Meter
) -> Iterator[None]:
    """Account for the block, however it ends: in the job's record, and in the night's summary."""
    before = meter.used()
    try:
        yield
    finally:
        used = meter.used().since(before)
        seconds = (datetime.now(UTC) - night.started).total_seconds()
        summary.content["used"] = asdict(used)
        if account := account_of(situation, summary.seen, used, seconds):
            job.account(account)


def account_of(
    situation: Situation, stages: Mapping[str, Stage], used: Used, seconds: float
) -> Account | None:
    """Account for a night.

    Args:
        situation: what it started from.
        stages: its stages by name, as far as they came.
        used: what it used of the cluster.
        seconds: how long it took.

    Returns:
        None if it was on no cluster.
    """
    if not used.hours:
        return None
    hardware, machine = situation.fleet.hardware, situation.request.flags.machine
    shape = ClusterShape(cpus=used.cpu_hours / used.hours, gpus=used.gpu_hours / used.hours)
    room = slots(machine, hardware, shape)
    waits = {
        name: sum(_wait(stages[part], room.get(part, 1)) for part in parts if part in stages)
        for name, parts in STAGES.items()
        if any(part in stages for part in parts)
    }
    waits[OTHER] = max(0.0, seconds - sum(stage.seconds for stage in stages.values()))
    return Account(
        net=situation.fleet.settings["net"],
        examples=str(situation.layout.shape),
        device=hardware.device,
        cpus=shape.cpus,
        gpus=shape.gpus,
        cpu_hours=used.cpu_hours,
        gpu_hours=used.gpu_hours,
        usd=used.usd,
        paces=_paces(stages),
        waits=waits,
    )


def matching(accounts: Sequence[Account], situation: Situation) -> list[Account]:
    """Return the accounts of nights with such a net, such examples and such a device."""
    wanted = (
        situation.fleet.settings["net"],
        str(situation.layout.shape),
        situation.fleet.hardware.device,
    )
    return [a for a in accounts if (a.net, a.examples, a.device) == wanted]


def _wait(stage: Stage, workers: int) -> float:
    """Return a stage's seconds beyond those that its workers needed."""
    busy = sum(pace.seconds for pace in stage.paces)
    return max(0.0, stage.seconds - shared(busy, stage.done, workers))


def _paces(stages: Mapping[str, Stage]) -> tuple[Pace, ...]:
    every = added_up(pace for stage in stages.values() for pace in stage.paces)
    return tuple(pace for pace in every.values() if pace.amount and pace.seconds)
