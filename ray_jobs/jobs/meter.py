"""What a job has used of a cluster, and which of its caps that reaches."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ray_jobs.terminal.cap_flags import CapFlags

HOUR_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class Used:
    """What a job has used of a cluster."""

    hours: float
    """Time on the cluster."""
    cpu_hours: float
    gpu_hours: float
    usd: float | None
    """Their price; None if no price is known."""

    def since(self, before: "Used") -> "Used":
        """Return what has been used since an earlier moment."""
        return Used(
            hours=self.hours - before.hours,
            cpu_hours=self.cpu_hours - before.cpu_hours,
            gpu_hours=self.gpu_hours - before.gpu_hours,
            usd=None if self.usd is None else self.usd - (before.usd or 0.0),
        )


class Meter:
    """Adds up the CPUs and GPUs that a cluster has while a job is on it.

    A cluster of one's own costs what is there, busy or idle, and grows and shrinks. So the engine
    counts every few seconds, and what was counted is taken to stay until the next count.
    """

    def __init__(
        self, caps: CapFlags | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.caps = caps or CapFlags()
        self._began = time.time()
        self._clock = clock
        self._lock = threading.Lock()
        self._cpus = self._gpus = 0.0
        self._counted_at: float | None = None
        self._seconds = self._cpu_seconds = self._gpu_seconds = 0.0

    @property
    def counts(self) -> bool:
        """Whether the job is on a cluster now."""
        return self._counted_at is not None

    def count(self, cpus: float, gpus: float) -> None:
        """Note what the cluster has now."""
        with self._lock:
            self._add()
            self._cpus, self._gpus, self._counted_at = cpus, gpus, self._clock()

    def stop(self) -> None:
        """Note that the job has left the cluster."""
        with self._lock:
            self._add()
            self._counted_at = None

    def used(self) -> Used:
        """Return what has been used so far."""
        with self._lock:
            self._add()
            cpu_hours, gpu_hours = self._cpu_seconds / HOUR_S, self._gpu_seconds / HOUR_S
            return Used(
                hours=self._seconds / HOUR_S,
                cpu_hours=cpu_hours,
                gpu_hours=gpu_hours,
                usd=self.caps.usd(gpu_hours, cpu_hours),
            )

    def over(self) -> str:
        """Return which cap is reached, for a message; "" if none is."""
        caps, used = self.caps, self.used()
        hours = (time.time() - self._began) / HOUR_S
        if caps.max_hours is not None and hours >= caps.max_hours:
            return "--max-hours: time ran out"
        if caps.max_gpu_hours is not None and used.gpu_hours >= caps.max_gpu_hours:
            return f"--max-gpu-hours: {caps.max_gpu_hours:g} GPU-hours ran out"
        if caps.max_usd is not None and (used.usd or 0.0) >= caps.max_usd:
            return f"--max-usd: {caps.max_usd:g} USD ran out"
        return ""

    def _add(self) -> None:
        """Add the time since the last count."""
        if self._counted_at is None:
            return
        now = self._clock()
        passed, self._counted_at = now - self._counted_at, now
        self._seconds += passed
        self._cpu_seconds += passed * self._cpus
        self._gpu_seconds += passed * self._gpus
