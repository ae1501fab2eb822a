"""How protoscore grows: with workers, with shards, with rows.

python -m benchmarks scaling_1_to_2 ray_overhead_200_shards driver_rss_growth_mb query_1e7_s

docs/scale.md says what follows from the figures for ImageNet and for a billion rows.
"""

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context

import numpy as np
import pyarrow as pa

from benchmarks.jobs import (
    dataset,
    one_run,
    renamed,
    result,
    score_in_a_loop,
    scoring_job,
    seconds_of_staging,
    timed,
)
from ray_jobs.cluster import cluster
from ray_jobs.score_shards import PoolOptions, score_shards
from scoring.ranking import rank
from scoring.signals import SignalOptions
from scoring.storage import Storage
from scoring.tables import Store
from scoring.tables.manifest import Manifest, Partition
from scoring.tables.publish import publish
from scoring.tables.schemas import score_rows

ROUNDS = 5
BATCH = SignalOptions(batch_rows=50)


def scaling() -> list[dict[str, object]]:
    """Scoring with two workers of one thread over scoring with one, medians of `ROUNDS`."""
    shards = 24
    with tempfile.TemporaryDirectory() as folder, cluster("", 2):
        storage = Storage(folder)
        versions = {s: dataset(storage, s, shards, 100) for s in ("train", "test")}
        job, work = scoring_job(storage, versions["train"], one_run(storage, versions))
        rates: dict[int, list[float]] = {1: [], 2: []}
        for turn in range(ROUNDS):
            for actors, found in rates.items():
                name = f"{actors}actors{turn}"
                score_shards(job, renamed(work, name), BATCH, PoolOptions(actors=actors))
                # Every actor's first shard is its start.
                found.append((shards - actors) / seconds_of_staging(folder, name))
    one, two = (statistics.median(found) for found in rates.values())
    note = f"{shards} shards of 100, {1 / one:.2f} s each, medians of {ROUNDS}"
    return [result("scaling_1_to_2", two / one, "x", ">= 1.7", note)]


def many_shards() -> list[dict[str, object]]:
    """Two hundred small shards through Ray over the same in a bare loop, one process each."""
    shards, rounds = 200, 2
    with tempfile.TemporaryDirectory() as folder, cluster("", 2):
        storage = Storage(folder)
        versions = {s: dataset(storage, s, shards, 50) for s in ("train", "test")}
        job, work = scoring_job(storage, versions["train"], one_run(storage, versions), steps=5)
        ratios, bare = [], 0.0
        for turn in range(rounds):
            with ProcessPoolExecutor(1, get_context("spawn")) as alone:
                alone.submit(score_in_a_loop, job, renamed(work, f"loop{turn}"), BATCH).result()
            bare = seconds_of_staging(folder, f"loop{turn}")
            score_shards(job, renamed(work, f"ray{turn}"), BATCH, PoolOptions(actors=1))
            ratios.append(seconds_of_staging(folder, f"ray{turn}") / bare)
    note = f"{shards} shards of 50, {bare:.0f} s of work, {rounds} rounds"
    return [result("ray_overhead_200_shards", statistics.median(ratios), "x", "<= 1.1", note)]


def driver_memory() -> list[dict[str, object]]:
    """Growth of a driver's peak memory from 1e5 to 1e6 rows ranked and published."""
    peaks = []
    for rows in (100_000, 1_000_000):
        command = [sys.executable, "-m", "benchmarks.scale", str(rows)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        peaks.append(float(done.stdout))
    note = f"peaks {peaks[0]:.0f} and {peaks[1]:.0f} MB, ranking and publishing one metric"
    return [result("driver_rss_growth_mb", peaks[1] - peaks[0], "MB", "< 150", note)]


def query() -> list[dict[str, object]]:
    """The 20 most outlying rows of one class among 1e7, warm."""
    rows = 10_000_000
    with tempfile.TemporaryDirectory() as folder:
        ranking, publishing = publish_noise(folder, rows)
        store = Store(folder)
        times = [timed(store.outliers, "conf", "test", 7, 20) for _ in range(4)]
    note = f"1e7 rows: ranked in {ranking:.0f} s, published in {publishing:.0f} s"
    return [result("query_1e7_s", statistics.median(times[1:]), "s", "< 1", note)]


def publish_noise(folder: str, rows: int) -> tuple[float, float]:
    """Publish a partition of random scores; seconds for ranking, and for the rest."""
    noise = np.random.default_rng(0)
    ids, label = np.arange(rows), noise.integers(0, 10, rows)
    value = noise.normal(size=rows)
    started = time.perf_counter()
    ranks = rank(value=value, label=label, example_id=ids, direction="high")
    ranked = time.perf_counter()
    table = score_rows(
        example_id=ids,
        name=pa.array(np.char.add("test/", ids.astype("U8"))),
        label=label,
        predicted=label,
        value=value,
        spread=None,
        status=np.full(rows, ""),
        ranks=ranks,
        scored_at=datetime.now(UTC),
        dataset_version="0" * 32,
        score_key=pa.repeat(pa.scalar("0" * 32), rows),
    )
    manifest = Manifest(
        partition=Partition("noise", "test", "conf"),
        key="noise",
        night_id="night",
        planned_at=datetime.now(UTC).isoformat(),
        settings={},
        dataset_version="0" * 32,
        trained_on={},
        runs=(),
        rows=rows,
    )
    publish(Storage(folder), [(manifest, table)])
    return ranked - started, time.perf_counter() - ranked


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        publish_noise(scratch, int(sys.argv[1]))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
