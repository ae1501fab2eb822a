"""The flags that end a night in time, and the prices that turn time into money."""

import math
from dataclasses import dataclass
from typing import Annotated

from ray_jobs.terminal.shared_flags import by_default
from scoring.errors import UserError


@dataclass(frozen=True, kw_only=True)
class CapFlags:
    """What a night may cost; at a cap it ends early, and the same command goes on.

    Once a cap is reached, no epoch and no shard is begun, and what is complete is published. All
    GPUs and CPUs of the cluster count while the job is on it, busy or idle.
    """

    max_hours: Annotated[float | None, by_default("no limit")] = None
    """Stop after this many hours."""
    max_gpu_hours: Annotated[float | None, by_default("no limit")] = None
    """Stop after this many GPU-hours."""
    max_usd: Annotated[float | None, by_default("no limit")] = None
    """Stop after this many US dollars, at the prices below."""
    usd_per_gpu_hour: Annotated[float | None, by_default("none")] = None
    """Price of a GPU of the cluster for an hour: an instance's price, divided by its GPUs."""
    usd_per_cpu_hour: Annotated[float | None, by_default("none")] = None
    """Price of a CPU of the cluster for an hour: for instances without GPUs."""

    @property
    def given(self) -> bool:
        """Whether there is a cap."""
        return any(cap is not None for cap in (self.max_hours, self.max_gpu_hours, self.max_usd))

    @property
    def priced(self) -> bool:
        """Whether there is a price."""
        return self.usd_per_gpu_hour is not None or self.usd_per_cpu_hour is not None

    def usd(self, gpu_hours: float, cpu_hours: float) -> float | None:
        """Return what hours cost; None if there is no price."""
        if not self.priced:
            return None
        return gpu_hours * (self.usd_per_gpu_hour or 0) + cpu_hours * (self.usd_per_cpu_hour or 0)

    def check(self) -> None:
        """Refuse caps and prices that mean nothing.

        Raises:
            UserError: naming the flag.
        """
        for name, value in vars(self).items():
            if value is not None and not 0 < value < math.inf:
                raise UserError(f"--{name.replace('_', '-')}: expected a number > 0, got {value}")
        if self.max_usd is not None and not self.priced:
            raise UserError(
                "--max-usd: expected a price too, --usd-per-gpu-hour or --usd-per-cpu-hour, "
                "got none"
            )
