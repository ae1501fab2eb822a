"""Measure the gain of a second worker, and the overhead of Ray on many small shards.

Pools are timed on the second half of their shards, when all actors have long started.
"""

import statistics
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from benchmarks.jobs import dataset, one_run, renamed, result, score_in_a_loop, scoring_job
from ray_jobs.on_ray.cluster import cluster
from ray_jobs.on_ray.map_shards import PoolOptions
from ray_jobs.on_ray.score_shards import score_shards
from scoring.score.shard_job import ScoringJob, ShardTasks
from scoring.score.signals import SignalOptions
from scoring.store.keys import SPLITS
from scoring.store.storage import Storage

_BATCH = SignalOptions(batch_rows=50)


def scaling() -> list[dict[str, object]]:
    """Measure the shards per second of two single-threaded workers relative to one."""
    shards, rounds = 40, 5
    with tempfile.TemporaryDirectory() as folder, cluster("", 2):
        job, work = _job(folder, shards, rows=100, steps=10)
        one, two = (
            [_pool_rate(folder, job, work, actors, turn) for turn in range(rounds)]
            for actors in (1, 2)
        )
    rates = [statistics.median(found) for found in (one, two)]
    note = f"shards of {1 / rates[0]:.2f} s, medians of {rounds}"
    return [result("scaling_1_to_2", rates[1] / rates[0], "x", ">= 1.7", note)]


def many_shards() -> list[dict[str, object]]:
    """Measure two hundred small shards through Ray relative to a bare loop, one process each."""
    shards, rounds = 200, 2
    with tempfile.TemporaryDirectory() as folder, cluster("", 2):
        job, work = _job(folder, shards, rows=50, steps=10)
        bare = [_loop_rate(folder, job, work, turn) for turn in range(rounds)]
        pool = [_pool_rate(folder, job, work, 1, turn) for turn in range(rounds)]
    value = statistics.median(bare) / statistics.median(pool)
    note = f"{shards} shards of {1 / statistics.median(bare):.2f} s, {rounds} rounds"
    return [result("ray_overhead_200_shards", value, "x", "<= 1.1", note)]


def _job(folder: str, shards: int, rows: int, steps: int) -> tuple[ScoringJob, list[ShardTasks]]:
    storage = Storage(folder)
    versions = {split: dataset(storage, split, shards, rows) for split in SPLITS}
    return scoring_job(storage, versions["train"], one_run(storage, versions), steps)


def _pool_rate(
    folder: str, job: ScoringJob, work: Sequence[ShardTasks], actors: int, turn: int
) -> float:
    name = f"pool{actors}turn{turn}"
    score_shards(job, renamed(work, name), _BATCH, PoolOptions(actors=actors))
    return _rate(folder, name)


def _loop_rate(folder: str, job: ScoringJob, work: Sequence[ShardTasks], turn: int) -> float:
    name = f"loop{turn}"
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        process.submit(score_in_a_loop, job, renamed(work, name), _BATCH).result()
    return _rate(folder, name)


def _rate(folder: str, name: str) -> float:
    """Return the shards per second in the second half of those staged under a name."""
    staged = sorted(p.stat().st_mtime for p in Path(folder, "staging").glob(f"*/{name}-*"))
    half = len(staged) // 2
    return (len(staged) - half) / (staged[-1] - staged[half - 1])
