"""Scoring by Ray Data: every result is staged by the actor that made it."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ray_jobs.on_ray.counters import ScoringCounters
from ray_jobs.on_ray.map_shards import PoolOptions, map_shards
from scoring.data.shards import Shard, ShardRecord
from scoring.score.shard_job import ScoringJob, ShardScorer, ShardTasks
from scoring.score.signals import SignalOptions


def score_shards(
    job: ScoringJob,
    work: Sequence[ShardTasks],
    options: SignalOptions,
    pool: PoolOptions,
    until: float = math.inf,
) -> None:
    """Stage the result of every task, or as many as time allows.

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
    """Scores one shard a call, and counts."""

    def __init__(self, job: ScoringJob, options: SignalOptions) -> None:
        self._scorer = ShardScorer(job, options)
        self._counters = ScoringCounters(job.data.dataset)

    def __call__(self, record: ShardRecord, shard: Shard, task: Mapping[str, Any]) -> None:
        self._counters.scored(*self._scorer(record, shard, task))
