"""How much of a cluster a night has, and how much of its work goes on at once there."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from ray_jobs.jobs.account import Account
from ray_jobs.jobs.progress import plural
from ray_jobs.terminal.night_flags import MachineFlags
from scoring.runs.fleet import Hardware


@dataclass(frozen=True, kw_only=True)
class ClusterShape:
    """CPUs and GPUs of a cluster."""

    cpus: float
    gpus: float

    def __str__(self) -> str:
        cpus = f"{self.cpus:.3g} {plural(self.cpus, 'CPU')}"
        gpus = f" and {self.gpus:.3g} {plural(self.gpus, 'GPU')}" if self.gpus else ""
        return cpus + gpus

    @classmethod
    def of(cls, account: Account) -> "ClusterShape":
        """Return what a job had, on average, to three digits."""
        return cls(cpus=float(f"{account.cpus:.3g}"), gpus=float(f"{account.gpus:.3g}"))


def expected_shape(machine: MachineFlags, accounts: Sequence[Account]) -> ClusterShape:
    """Return the cluster that a night will probably have, without joining it.

    Args:
        machine: the flags.
        accounts: of earlier nights, oldest first. A cluster elsewhere is taken to be that of the
            last of them; if there is none, to be like this machine.
    """
    elsewhere = machine.address or os.environ.get("RAY_ADDRESS")
    if elsewhere and accounts:
        return ClusterShape.of(accounts[-1])
    cpus = machine.cpus or len(os.sched_getaffinity(0))
    return ClusterShape(cpus=float(cpus), gpus=float(torch.cuda.device_count()))


def slots(machine: MachineFlags, hardware: Hardware, shape: ClusterShape) -> Mapping[str, int]:
    """Return how many workers each stage has at once."""
    score, train = shape.cpus, shape.cpus / hardware.threads
    if hardware.device == "cuda":
        score = min(score, shape.gpus / machine.gpus_per_scorer)
        train = min(train, shape.gpus / machine.gpus_per_run)
    room = {"ingest": shape.cpus, "train": train, "features": score, "score": score}
    return {stage: max(1, int(count)) for stage, count in room.items()}


def shared(seconds: float, units: int, workers: int) -> float:
    """Return how long workers take for units of work that take one of them `seconds` in all."""
    return seconds / units * math.ceil(units / workers) if units else 0.0
