"""Ray Data maps the missing shards through a pool of scoring actors.

Decoding runs as tasks beside the pool, so that it overlaps scoring; a shard stays one block from
disk to actor. Actors stage every result themselves: receipts are all that comes back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import ray
import torch
from ray.data import ActorPoolStrategy, DataContext

from ray_jobs.cluster import total
from ray_jobs.progress import Progress
from scoring.data.images import ImageShape
from scoring.data.shards import Shard, ShardRecord, read_shard
from scoring.errors import IncompleteError
from scoring.scorer import Scorer, Task
from scoring.signals import SignalOptions
from scoring.storage import Storage

# Unequal requests keep Ray Data from fusing the two stages, which would end their overlap; together
# they leave room for one decoder beside each scorer.
_DECODE_CPUS = 0.25
_SCORE_CPUS = 0.75


@dataclass(frozen=True, kw_only=True)
class ShardTasks:
    """A shard on its way through the pool: where it is and what it still lacks."""

    dataset: str
    record: ShardRecord
    shape: ImageShape
    classes: int
    tasks: tuple[Task, ...]


@dataclass(frozen=True, kw_only=True)
class PoolOptions:
    """Resources of the pool."""

    gpus_per_scorer: float = 0.0
    """Share of a GPU an actor takes; 0: scoring on the CPU."""
    actors: int | None = None
    """Largest pool; None: as many as the cluster holds."""


def score_shards(
    storage: Storage, work: Sequence[ShardTasks], options: SignalOptions, pool: PoolOptions
) -> None:
    """Stage every task of `work`.

    Raises:
        IncompleteError: shards did not come through; what is staged stays.
    """
    if not work:
        return
    context = DataContext.get_current()
    context.target_max_block_size = None  # a shard is one block, whatever its size
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    largest = max(item.record.rows * item.shape.nbytes for item in work)
    receipts = (
        ray.data.from_items(list(work), override_num_blocks=len(work))
        .map_batches(
            _Decode(storage),
            batch_size=1,
            num_cpus=_DECODE_CPUS,
            memory=3 * largest,
        )
        .map_batches(
            _Score,
            fn_constructor_kwargs={"storage": storage, "options": options},
            batch_size=None,
            num_cpus=_SCORE_CPUS,
            num_gpus=pool.gpus_per_scorer,
            compute=ActorPoolStrategy(
                min_size=1, max_size=_pool_size(pool, len(work)), max_tasks_in_flight_per_actor=2
            ),
        )
    )
    done = set()
    with Progress("score", len(work), "shard") as progress:
        for receipt in receipts.iter_rows():
            done.add(receipt["content"])
            progress.advance()
    if lost := {item.record.content for item in work} - done:
        raise IncompleteError(f"expected {len(work)} shards scored, got {len(work) - len(lost)}")


class _Decode:
    """Reads and decodes one shard; its rows become columns, its description rides along."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        item: ShardTasks = batch["item"][0]
        shard = read_shard(self._storage, item.dataset, item.record, item.shape)
        about = np.full(len(shard.ids), None, dtype=object)
        about[0] = item
        return {
            "id": shard.ids,
            "label": shard.labels,
            "image": shard.images,
            "decodable": shard.decodable,
            "about": about,
        }


class _Score:
    """Holds weights between shards; scores one shard a call."""

    def __init__(self, storage: Storage, options: SignalOptions) -> None:
        torch.set_num_threads(1)  # a pool of one-thread actors: sums never depend on the machine
        self._scorer = Scorer(storage, options)

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[str]]:
        item: ShardTasks = batch["about"][0]
        rows = len(batch["id"])
        if rows != item.record.rows:
            raise RuntimeError(f"expected a whole shard of {item.record.rows} rows, got {rows}")
        shard = Shard(
            ids=batch["id"],
            labels=batch["label"],
            images=batch["image"],
            decodable=batch["decodable"],
        )
        self._scorer.score(item.record.content, shard, item.classes, item.tasks)
        return {"content": [item.record.content]}


def _pool_size(pool: PoolOptions, shards: int) -> int:
    fits = total("CPU") / (_SCORE_CPUS + _DECODE_CPUS)
    if pool.gpus_per_scorer:
        fits = min(fits, total("GPU") / pool.gpus_per_scorer)
    return max(1, min(int(fits), shards, pool.actors or shards))
