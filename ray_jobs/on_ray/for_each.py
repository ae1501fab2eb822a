"""Ray Data maps items through a pool of actors."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import ray
import torch
from ray.data import ActorPoolStrategy

from ray_jobs.jobs.progress import Progress
from ray_jobs.on_ray.cluster import ACTOR_RETRIES, total
from ray_jobs.on_ray.errors import telling
from ray_jobs.on_ray.waiting import asking
from scoring.errors import IncompleteError

Item = TypeVar("Item")
Work = Callable[[Item], object]


def for_each(stage: str, unit: str, begin: Callable[[], Work[Item]], items: Sequence[Item]) -> None:
    """Call a function with every item; for arguments see `ray_jobs.engine.Engine.for_each`."""
    if not items:
        return
    workers = max(1, min(len(items), int(total("CPU"))))
    receipts = ray.data.from_items(list(items), override_num_blocks=len(items)).map(
        _Worker,  # type: ignore[arg-type] # Ray takes classes; its stub does not
        fn_constructor_args=(begin,),
        num_cpus=1,
        **ACTOR_RETRIES,
        compute=ActorPoolStrategy(min_size=1, initial_size=workers, max_size=workers),
    )
    done = 0
    with asking(stage, "a worker", {"CPU": 1}), Progress(stage, len(items), unit) as progress:
        for receipt in receipts.iter_rows():
            done += receipt["done"]
            progress.advance(receipt["done"])
    if done < len(items):
        raise IncompleteError(f"{stage}: expected {len(items)} {unit}s, got {done}")


class _Worker:
    def __init__(self, begin: Callable[[], Work[Any]]) -> None:
        torch.set_num_threads(1)
        self._begin = begin
        self._work: Work[Any] | None = None

    @telling
    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        self._work = self._work or self._begin()  # Ray would try a constructor again for ever
        self._work(row["item"])
        return {"done": 1}
