"""Counts what the cluster has while a job is on it, and tells workers when a cap is reached.

Workers know neither what the whole cluster has cost nor, if their clock is wrong, the time. So they
ask a flag, an actor on the driver's node, which the driver raises.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ray_jobs.jobs.meter import Meter
from ray_jobs.on_ray.cluster import total
from ray_jobs.terminal.say import note
from scoring.logs import logger

_EVERY_S = 2.0
_log = logger(__name__)


IsOver = Callable[[], bool]
"""Whether a job is to begin nothing more; workers call it before each shard and epoch."""


def never() -> bool:
    """Go on: the job has no cap."""
    return False


class _Flag:
    """Is up once a cap is reached."""

    def __init__(self) -> None:
        self._up = False

    def put_up(self) -> None:
        self._up = True

    def is_up(self) -> bool:
        return self._up


def _is_up(flag: Any) -> bool:  # noqa: ANN401 - Ray's handles have no type
    return bool(ray.get(flag.is_up.remote()))


@contextmanager
def metering(meter: Meter) -> Iterator[IsOver]:
    """Count for the length of the block, which may lie within another one.

    Yields:
        What workers ask whether to go on.
    """
    flag = _flag() if meter.caps.given else None
    within_another = meter.counts
    _count(meter, flag)
    if not within_another:
        _note(meter)
    ended = threading.Event()

    def keep_counting() -> None:
        while not ended.wait(_EVERY_S):
            try:
                _count(meter, flag)
            except Exception:  # until the next count, the cluster is taken to be as it was
                _log.warning("the cluster's CPUs and GPUs could not be counted", exc_info=True)

    thread = threading.Thread(target=keep_counting, name="meter", daemon=True)
    thread.start()
    try:
        yield partial(_is_up, flag) if flag else never
    finally:
        ended.set()
        thread.join()
        if not within_another:
            meter.stop()


def _flag() -> Any:  # noqa: ANN401 - Ray's handles have no type
    """Start the flag. If its process dies it starts again, and the next count puts it up again."""
    here = ray.get_runtime_context().get_node_id()
    actor: Any = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(_Flag)
    on_this_node = NodeAffinitySchedulingStrategy(here, soft=True)
    return actor.options(scheduling_strategy=on_this_node).remote()


def _count(meter: Meter, flag: Any | None) -> None:  # noqa: ANN401
    meter.count(total("CPU"), total("GPU"))
    if flag and meter.over():
        ray.get(flag.put_up.remote())


def _note(meter: Meter) -> None:
    """Say so if a cap counts GPUs and there are none."""
    caps = meter.caps
    in_gpus = {
        "--max-gpu-hours": caps.max_gpu_hours is not None,
        "--max-usd": caps.max_usd is not None and caps.usd_per_cpu_hour is None,
    }
    if not total("GPU"):
        for flag in (flag for flag, given in in_gpus.items() if given):
            note(f"note: {flag} counts GPUs, and the cluster has none")
