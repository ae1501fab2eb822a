"""Scoring by Ray Data: each actor stages the results that it makes."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ray_jobs.jobs.pace import weigh
from ray_jobs.on_ray.counters import ScoringCounters
from ray_jobs.on_ray.map_shards import PoolOptions, map_shards
from ray_jobs.on_ray.metering import IsOver, never
from scoring.data.shards import Shard, ShardRecord
from scoring.score.assignments import passes
from scoring.score.shard_job import ScoringJob, ShardScorer, ShardTasks
from scoring.score.signals import SignalOptions


def score_shards(
    job: ScoringJob,
    work: Sequence[ShardTasks],
    options: SignalOptions,
    pool: PoolOptions,
    is_over: IsOver = never,
) -> None:
    """Stage the results of all tasks, or of as many as time allows.

    Args:
        job: what all shards share.
        work: the shards, and the tasks that each still lacks.
        options: memory and device of an actor.
        pool: resources of the pool.
        is_over: whether no shard is to be begun any more.

    Raises:
        IncompleteError: some shards could not be done. What is staged stays.
    """
    map_shards("score", job.data, work, partial(_Score, job, options), pool, is_over)


class _Score:
    """Scores one shard per call, and counts."""

    def __init__(self, job: ScoringJob, options: SignalOptions) -> None:
        self._scorer = ShardScorer(job, options)
        self._counters = ScoringCounters(job.data.dataset)

    def __call__(self, record: ShardRecord, shard: Shard, task: Mapping[str, Any]) -> float:
        rows, done = self._scorer(record, shard, task)
        self._counters.scored(rows, done)
        return rows * weigh(passes(done))
