"""Ray Data maps shards through a pool of actors that hold weights between them.

Decoding runs as tasks beside the pool, so that it overlaps the actors' work; a shard stays one
block from disk to actor. Actors write their results themselves: receipts are all that comes back.
"""

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import ray
import torch
from ray.data import ActorPoolStrategy, DataContext

from ray_jobs.jobs.progress import Progress
from ray_jobs.on_ray.cluster import total
from ray_jobs.on_ray.decode import ABOUT, decode
from scoring.data.shapes import InputShape
from scoring.data.shards import Shard, ShardRecord
from scoring.errors import IncompleteError
from scoring.store.keys import jsonable
from scoring.store.storage import Storage

# Unequal requests keep Ray Data from fusing the two stages, which would end their overlap; together
# they leave room for one decoder beside each actor.
_DECODE_CPUS = 0.25
_ACTOR_CPUS = 0.75
_PROCESS_BYTES = 512 << 20  # a worker with torch imported, before it holds anything


@dataclass(frozen=True, kw_only=True)
class ShardData:
    """Where the shards of a dataset are."""

    storage: Storage
    dataset: str
    shape: InputShape


@dataclass(frozen=True, kw_only=True)
class PoolOptions:
    """Resources of the pool."""

    gpus_per_actor: float = 0.0
    """Share of a GPU an actor takes; 0: none."""
    weights_bytes: int = 0
    """What an actor holds between shards."""
    actors: int | None = None
    """Largest pool; None: as many as the cluster holds, and grows to hold."""


class ShardTask(Protocol):
    """What is to be done with a shard; travels as JSON."""

    @property
    def record(self) -> ShardRecord:
        """Which shard."""


OnShard = Callable[[ShardRecord, Shard, dict[str, Any]], None]
"""Called with each shard and its task's JSON."""


def map_shards(
    stage: str,
    data: ShardData,
    work: Sequence[ShardTask],
    begin: Callable[[], OnShard],
    pool: PoolOptions,
    until: float = math.inf,
) -> None:
    """Do all of `work`, or as much as there is time for.

    Args:
        stage: what to call it.
        data: where the shards are.
        work: shards and what is to be done with each.
        begin: called once in each actor; gives what does it.
        pool: resources of the pool.
        until: time (seconds since the epoch) after which no shard is begun.

    Raises:
        IncompleteError: shards did not come through; what is written stays.
    """
    if not work:
        return
    done = set()
    with Progress(stage, len(work), "shard") as progress:
        for receipt in _receipts(data, work, begin, pool, until).iter_rows():
            done.add(receipt["content"])
            progress.advance(int(receipt["done"]))
    if lost := {item.record.content for item in work} - done:
        raise IncompleteError(f"{stage}: expected {len(work)} shards, got {len(work) - len(lost)}")


def _receipts(
    data: ShardData,
    work: Sequence[ShardTask],
    begin: Callable[[], OnShard],
    pool: PoolOptions,
    until: float,
) -> ray.data.Dataset:
    """The pipeline; it runs as its rows, a receipt for each shard, are asked for."""
    DataContext.get_current().target_max_block_size = None  # a shard is one block, however large
    largest = max(item.record.rows for item in work) * data.shape.nbytes
    memory = _PROCESS_BYTES + 3 * largest
    limit = min(pool.actors or len(work), len(work))
    rows = [{ABOUT: json.dumps(jsonable(item))} for item in work]
    return (
        ray.data.from_items(rows, override_num_blocks=len(rows))
        .map_batches(
            partial(decode, storage=data.storage, dataset=data.dataset, shape=data.shape),
            batch_size=1,
            num_cpus=_DECODE_CPUS,
            memory=memory,
        )
        .map_batches(
            _Actor,
            fn_constructor_args=(begin, until),
            batch_size=None,
            num_cpus=_ACTOR_CPUS,
            num_gpus=pool.gpus_per_actor,
            memory=memory + pool.weights_bytes,
            compute=ActorPoolStrategy(
                # Ray Data grows a pool by a seventh at a time: begin with all that fits, and grow
                # as nodes join.
                min_size=1,
                initial_size=max(1, min(limit, _fitting(pool, memory + pool.weights_bytes))),
                max_size=limit,
                max_tasks_in_flight_per_actor=2,
            ),
        )
    )


def _fitting(pool: PoolOptions, memory: int) -> int:
    """How many actors the nodes at hand have room for."""
    room = [total("CPU") / (_ACTOR_CPUS + _DECODE_CPUS), total("memory") / memory]
    if pool.gpus_per_actor:
        room.append(total("GPU") / pool.gpus_per_actor)
    return int(min(room))


class _Actor:
    """Works on one shard a call."""

    def __init__(self, begin: Callable[[], OnShard], until: float) -> None:
        torch.set_num_threads(1)  # a pool of one-thread actors: sums never depend on the machine
        self._until = until
        self._on_shard = begin()

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        about = json.loads(batch.pop(ABOUT)[0])
        record = ShardRecord(**about["record"])
        if time.time() >= self._until:
            return {"content": [record.content], "done": [False]}
        shard = Shard(**batch)
        if len(shard.ids) != record.rows:
            raise RuntimeError(
                f"expected a whole shard of {record.rows} rows, got {len(shard.ids)}"
            )
        self._on_shard(record, shard, about)
        return {"content": [record.content], "done": [True]}
