"""Ray Data maps shards through a pool of actors that keep weights between shards.

Tasks outside the pool decode the shards, so decoding overlaps the actors' work. A shard remains one
block from disk to actor. Actors write their results themselves; only receipts come back.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import ray
import torch
from ray.data import ActorPoolStrategy, DataContext

from ray_jobs.jobs.pace import Pace
from ray_jobs.jobs.progress import Progress
from ray_jobs.on_ray.cluster import ACTOR_RETRIES, TASK_RETRIES, total
from ray_jobs.on_ray.decode import TASK, decode
from ray_jobs.on_ray.errors import telling
from ray_jobs.on_ray.metering import IsOver, never
from ray_jobs.on_ray.waiting import asking
from scoring.data.shards import Shard, ShardRecord
from scoring.errors import IncompleteError
from scoring.score.shard_job import ShardData
from scoring.store.keys import jsonable

# Requests differ so that Ray Data does not fuse the two stages, which then could not overlap.
# Together they leave room for one decoder per actor.
_DECODE_CPUS = 0.25
_ACTOR_CPUS = 0.75
_PROCESS_BYTES = 512 << 20  # a worker with torch imported, before it holds anything


@dataclass(frozen=True, kw_only=True)
class PoolOptions:
    """Resources of the pool."""

    gpus_per_actor: float = 0.0
    """Share of a GPU that an actor takes."""
    weights_bytes: int = 0
    """Size of the weights that an actor keeps between shards."""
    actors: int | None = None
    """Most actors; None: as many as the cluster has room for, as it grows."""


class ShardTask(Protocol):
    """A shard and what to do with it; sent to workers as JSON."""

    @property
    def record(self) -> ShardRecord:
        """The shard."""


OnShard = Callable[[ShardRecord, Shard, Mapping[str, Any]], float]
"""Called with a shard's record, its rows, and its task as decoded JSON; returns how much work that
was, as a `Pace` counts it."""


def map_shards(
    stage: str,
    data: ShardData,
    work: Sequence[ShardTask],
    begin: Callable[[], OnShard],
    pool: PoolOptions,
    is_over: IsOver = never,
) -> None:
    """Do all of `work`, or as much of it as time allows.

    Args:
        stage: name of the stage in the progress display.
        data: where the shards are.
        work: the shards, and what to do with each.
        begin: called once in each actor; returns the function to call with each shard.
        pool: resources of the pool.
        is_over: whether no shard is to be begun any more.

    Raises:
        IncompleteError: some shards could not be done. What was written stays.
    """
    if not work:
        return
    done = set()
    needs = {
        "CPU": _ACTOR_CPUS,
        "GPU": pool.gpus_per_actor,
        "memory": _decoder_bytes(data, work) + pool.weights_bytes,
    }
    with (
        asking(stage, "a worker", needs),
        Progress(stage, len(work), "shard") as progress,
    ):
        for receipt in _receipts(data, work, begin, pool, is_over).iter_rows():
            done.add(receipt["content"])
            pace = Pace(kind=stage, amount=receipt["amount"], seconds=receipt["seconds"])
            progress.advance(int(receipt["done"]), pace)
    if lost := {item.record.content for item in work} - done:
        raise IncompleteError(f"{stage}: expected {len(work)} shards, got {len(work) - len(lost)}")


def _receipts(
    data: ShardData,
    work: Sequence[ShardTask],
    begin: Callable[[], OnShard],
    pool: PoolOptions,
    is_over: IsOver,
) -> ray.data.Dataset:
    """Build the pipeline, which runs while its rows, one receipt per shard, are consumed."""
    DataContext.get_current().target_max_block_size = None  # a shard is one block, however large
    memory = _decoder_bytes(data, work)
    rows = [{TASK: json.dumps(jsonable(item))} for item in work]
    return (
        ray.data.from_items(rows, override_num_blocks=len(rows))
        .map_batches(
            partial(decode, storage=data.storage, dataset=data.dataset, shape=data.shape),
            batch_size=1,
            num_cpus=_DECODE_CPUS,
            memory=memory,
            **TASK_RETRIES,
        )
        .map_batches(
            _Actor,
            fn_constructor_args=(begin, is_over),
            batch_size=None,
            num_cpus=_ACTOR_CPUS,
            num_gpus=pool.gpus_per_actor,
            memory=memory + pool.weights_bytes,
            compute=_strategy(pool, 2 * memory + pool.weights_bytes, len(work)),
            **ACTOR_RETRIES,
        )
    )


def _decoder_bytes(data: ShardData, work: Sequence[ShardTask]) -> int:
    """Return the memory that a process needs to hold the largest shard."""
    largest = max(item.record.rows for item in work) * data.shape.nbytes
    return _PROCESS_BYTES + 3 * largest


def _strategy(pool: PoolOptions, memory: int, shards: int) -> ActorPoolStrategy:
    """Return how the pool grows, given the memory of an actor and its decoder.

    Ray Data grows a pool by just a seventh at a time, so begin with all actors that fit now, and
    leave growth to nodes that join.
    """
    limit = min(pool.actors or shards, shards)
    return ActorPoolStrategy(
        min_size=1,
        initial_size=max(1, min(limit, _fitting(pool, memory))),
        max_size=limit,
        max_tasks_in_flight_per_actor=2,
    )


def _fitting(pool: PoolOptions, memory: int) -> int:
    """Return how many actors the present nodes have room for, each with its decoder."""
    room = [total("CPU") / (_ACTOR_CPUS + _DECODE_CPUS), total("memory") / memory]
    if pool.gpus_per_actor:
        room.append(total("GPU") / pool.gpus_per_actor)
    return int(min(room))


class _Actor:
    """Handles one shard per call."""

    def __init__(self, begin: Callable[[], OnShard], is_over: IsOver) -> None:
        torch.set_num_threads(1)  # so that sums do not depend on the machine
        self._is_over = is_over
        self._begin = begin
        self._on_shard: OnShard | None = None

    @telling
    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        task = json.loads(batch.pop(TASK)[0])
        record = ShardRecord(**task["record"])
        if self._is_over():
            return _receipt(record, done=False)
        shard = Shard(**batch)
        if len(shard.ids) != record.rows:
            raise RuntimeError(
                f"expected a whole shard of {record.rows} rows, got {len(shard.ids)}"
            )
        # Not in the constructor, which Ray would try again for ever.
        self._on_shard = self._on_shard or self._begin()
        began = time.perf_counter()
        amount = self._on_shard(record, shard, task)
        return _receipt(record, done=True, amount=amount, seconds=time.perf_counter() - began)


def _receipt(
    record: ShardRecord, *, done: bool, amount: float = 0.0, seconds: float = 0.0
) -> dict[str, list[Any]]:
    return {
        "content": [record.content],
        "done": [done],
        "amount": [amount],
        "seconds": [seconds],
    }
