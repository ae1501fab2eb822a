"""Scores the missing shards; every result is staged by the actor that made it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ray_jobs.on_ray.counters import ScoringCounters
from ray_jobs.on_ray.map_shards import PoolOptions, ShardData, map_shards
from scoring.data.shards import Shard, ShardRecord
from scoring.score.scorer import Assignment, Scorer, Task
from scoring.score.signals import SignalOptions


@dataclass(frozen=True, kw_only=True)
class ScoringJob:
    """What every actor knows; shards bring only what is their own."""

    data: ShardData
    classes: int
    assignments: tuple[Assignment, ...]
    """How each metric is computed on each split."""


@dataclass(frozen=True, kw_only=True)
class ShardTasks:
    """A shard and what it still lacks: (index of the assignment, name of the result)."""

    record: ShardRecord
    tasks: tuple[tuple[int, str], ...]
    every: int = 1
    """Only every so-manieth row is scored."""


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
    map_shards("score", job.data, work, partial(_Score, job, options), pool, until)


class _Score:
    """Holds weights between shards; scores one shard a call."""

    def __init__(self, job: ScoringJob, options: SignalOptions) -> None:
        self._job = job
        self._scorer = Scorer(job.data.storage, options)
        self._counters = ScoringCounters(job.data.dataset)

    def __call__(self, record: ShardRecord, shard: Shard, about: dict[str, Any]) -> None:
        shard = shard.every(about["every"])
        tasks = [Task(assignment=self._job.assignments[i], key=key) for i, key in about["tasks"]]
        # Logits of some rows must not be kept as if they were those of all.
        content = record.content if len(shard.ids) == record.rows else f"{tasks[0].key}-rows"
        self._scorer.score(content, shard, self._job.classes, tasks)
        self._counters.scored(len(shard.ids), [task.assignment for task in tasks])
