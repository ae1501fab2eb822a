"""What a job used and how fast its work went, for the forecasts of later jobs."""

from collections.abc import Mapping
from dataclasses import dataclass

from ray_jobs.jobs.pace import Pace


@dataclass(frozen=True, kw_only=True)
class Account:
    """A part of a job's record. The fields are the keys of its JSON."""

    net: str
    examples: str
    """Their shape."""
    device: str
    cpus: float
    """Of the cluster, on average; so are `gpus`."""
    gpus: float
    cpu_hours: float
    gpu_hours: float
    usd: float | None
    """What they cost; None if no price was given."""
    paces: tuple[Pace, ...]
    waits: Mapping[str, float]
    """By stage, seconds beyond its workers' work: they start, and the last ones end. `other`: what
    passed between the stages."""
