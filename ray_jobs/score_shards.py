"""Ray Data maps the missing shards through a pool of scoring actors.

Decoding runs as tasks beside the pool, so that it overlaps scoring; a shard stays one block from
disk to actor. Actors stage every result themselves: receipts are all that comes back.
"""

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import ray
import torch
from ray.data import ActorPoolStrategy, DataContext

from ray_jobs.cluster import total
from ray_jobs.counters import ScoringCounters
from ray_jobs.decode import ABOUT, decode
from ray_jobs.progress import Progress
from scoring.data.images import ImageShape
from scoring.data.shards import Shard, ShardRecord
from scoring.errors import IncompleteError
from scoring.keys import jsonable
from scoring.scorer import Assignment, Scorer, Task
from scoring.signals import SignalOptions
from scoring.storage import Storage

# Unequal requests keep Ray Data from fusing the two stages, which would end their overlap; together
# they leave room for one decoder beside each scorer.
_DECODE_CPUS = 0.25
_SCORE_CPUS = 0.75
_PROCESS_BYTES = 512 << 20  # a worker with torch imported, before it holds anything


@dataclass(frozen=True, kw_only=True)
class ScoringJob:
    """What every actor knows; shards bring only what is their own."""

    storage: Storage
    dataset: str
    shape: ImageShape
    classes: int
    assignments: tuple[Assignment, ...]
    """How each metric is computed on each split."""


@dataclass(frozen=True, kw_only=True)
class ShardTasks:
    """A shard and what it still lacks: (index of the assignment, name of the result)."""

    record: ShardRecord
    tasks: tuple[tuple[int, str], ...]


@dataclass(frozen=True, kw_only=True)
class PoolOptions:
    """Resources of the pool."""

    gpus_per_scorer: float = 0.0
    """Share of a GPU an actor takes; 0: scoring on the CPU."""
    actors: int | None = None
    """Largest pool; None: as many as the cluster holds, and grows to hold."""


def score_shards(
    job: ScoringJob,
    work: Sequence[ShardTasks],
    options: SignalOptions,
    pool: PoolOptions,
    until: float = math.inf,
) -> None:
    """Stage every task of `work`, or as many as there is time for.

    Args:
        job: what all shards share.
        work: what is missing.
        options: memory and device of an actor.
        pool: resources of the pool.
        until: time (seconds since the epoch) after which no shard is begun.

    Raises:
        IncompleteError: shards did not come through; what is staged stays.
    """
    if not work:
        return
    DataContext.get_current().target_max_block_size = None  # a shard is one block, however large
    largest = max(item.record.rows for item in work) * job.shape.nbytes
    memory = _PROCESS_BYTES + 3 * largest
    limit = min(pool.actors or len(work), len(work))
    rows = [{ABOUT: json.dumps(jsonable(item))} for item in work]
    receipts = (
        ray.data.from_items(rows, override_num_blocks=len(rows))
        .map_batches(
            partial(decode, storage=job.storage, dataset=job.dataset, shape=job.shape),
            batch_size=1,
            num_cpus=_DECODE_CPUS,
            memory=memory,
        )
        .map_batches(
            _Score,
            fn_constructor_args=(job, options, until),
            batch_size=None,
            num_cpus=_SCORE_CPUS,
            num_gpus=pool.gpus_per_scorer,
            memory=memory + options.cache_bytes,
            compute=ActorPoolStrategy(
                # Ray Data grows a pool by a seventh at a time: begin with all that fits, and grow
                # as nodes join.
                min_size=1,
                initial_size=max(1, min(limit, _fitting(pool, memory + options.cache_bytes))),
                max_size=limit,
                max_tasks_in_flight_per_actor=2,
            ),
        )
    )
    done = set()
    with Progress("score", len(work), "shard") as progress:
        for receipt in receipts.iter_rows():
            done.add(receipt["content"])
            progress.advance(int(receipt["scored"]))
    if lost := {item.record.content for item in work} - done:
        raise IncompleteError(f"expected {len(work)} shards scored, got {len(work) - len(lost)}")


def _fitting(pool: PoolOptions, memory: int) -> int:
    """How many actors the nodes at hand have room for."""
    room = [total("CPU") / (_SCORE_CPUS + _DECODE_CPUS), total("memory") / memory]
    if pool.gpus_per_scorer:
        room.append(total("GPU") / pool.gpus_per_scorer)
    return int(min(room))


class _Score:
    """Holds weights between shards; scores one shard a call."""

    def __init__(self, job: ScoringJob, options: SignalOptions, until: float) -> None:
        torch.set_num_threads(1)  # a pool of one-thread actors: sums never depend on the machine
        self._job = job
        self._until = until
        self._scorer = Scorer(job.storage, options)
        self._counters = ScoringCounters(job.dataset)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        about = json.loads(batch.pop(ABOUT)[0])
        record = ShardRecord(**about["record"])
        if time.time() >= self._until:
            return {"content": [record.content], "scored": [False]}
        shard = Shard(**batch)
        if len(shard.ids) != record.rows:
            raise RuntimeError(
                f"expected a whole shard of {record.rows} rows, got {len(shard.ids)}"
            )
        tasks = [Task(assignment=self._job.assignments[i], key=key) for i, key in about["tasks"]]
        self._scorer.score(record.content, shard, self._job.classes, tasks)
        self._counters.scored(record.rows, [task.assignment for task in tasks])
        return {"content": [record.content], "scored": [True]}
