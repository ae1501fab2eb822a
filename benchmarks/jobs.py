"""Measure the overhead of Ray when it scores shards and trains short runs."""

import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from ray_jobs.on_ray.cluster import cluster
from ray_jobs.on_ray.map_shards import PoolOptions
from ray_jobs.on_ray.score_shards import score_shards
from ray_jobs.on_ray.train_fleet import train_fleet
from scoring.data.images import ImageShape
from scoring.data.shards import read_shard
from scoring.data.sources import Layout, Piece, Rows
from scoring.data.versions import DatasetVersion, load_training_set
from scoring.data.write_shard import write_shard
from scoring.registry import metric
from scoring.run_spec import NetSpec
from scoring.runs.fleet import Hardware, build_fleet, preset
from scoring.runs.record import Run, identify, load_records
from scoring.runs.train_one import train_run
from scoring.score.assignments import Assignment, RunRef, Task
from scoring.score.scorer import Scorer
from scoring.score.shard_job import ScoringJob, ShardData, ShardTasks
from scoring.score.signals import SignalOptions
from scoring.store.keys import SPLITS, Split
from scoring.store.storage import Storage
from scoring.training.recipes import recipe

SHARDS, ROWS = 12, 250
ROUNDS = 2
RUNS = 81  # the size of the standard fleet
SHAPE = ImageShape(height=28, width=28, channels=1)
LAYOUT = Layout(classes=tuple("0123456789"), shape=SHAPE)


def ray_overhead() -> list[dict[str, object]]:
    """Measure scoring through Ray relative to a bare loop over the same shards.

    Each side has one process and one thread, and is timed from its first staged shard to its last,
    so starting the pool does not count.
    """
    with tempfile.TemporaryDirectory() as folder, cluster("", 2):
        storage = Storage(folder)
        versions = {split: dataset(storage, split) for split in SPLITS}
        run = one_run(storage, versions)
        job, work = scoring_job(storage, versions["train"], run)
        options = SignalOptions()
        bare, mapped = [], []
        for turn in range(ROUNDS):
            with ProcessPoolExecutor(1, get_context("spawn")) as process:
                process.submit(score_in_a_loop, job, renamed(work, f"loop{turn}"), options).result()
            bare.append(seconds_of_staging(folder, f"loop{turn}"))
            score_shards(job, renamed(work, f"ray{turn}"), options, PoolOptions(actors=1))
            mapped.append(seconds_of_staging(folder, f"ray{turn}"))
    ratios = [ray / loop for ray, loop in zip(mapped, bare, strict=True)]
    note = f"{SHARDS - 1} shards of {ROWS}, {np.median(bare):.0f} s of work, {ROUNDS} rounds"
    return [result("ray_overhead", float(np.median(ratios)), "x", "<= 1.15", note)]


def seconds_of_staging(folder: str, turn: str) -> float:
    """Return the time from the first result of a turn to the last."""
    staged = [path.stat().st_mtime for path in Path(folder, "staging").glob(f"*/{turn}-*")]
    return max(staged) - min(staged)


def fleet_overhead() -> list[dict[str, object]]:
    """Measure how long a short run occupies a training slot beyond its own training."""
    slots = 2
    with tempfile.TemporaryDirectory() as folder, cluster("", slots):
        storage = Storage(folder)
        versions = {split: dataset(storage, split, shards=2) for split in SPLITS}
        runs = short_runs(versions)
        options = {"train_memory": 1 << 30, "gpus_per_run": 0.0}
        seconds = timed(train_fleet, storage, runs, versions, **options)
        training = sum(r.seconds for r in load_records(storage, [run.key for run in runs]))
    note = f"{RUNS} runs of {training / RUNS:.2f} s on {slots} slots, including actor start-up"
    value = (seconds * slots - training) / RUNS
    return [result("fleet_overhead_s", value, "s", "<= 1", note)]


def result(name: str, value: float, unit: str, want: str, note: str) -> dict[str, object]:
    return {"name": name, "value": value, "unit": unit, "want": want, "note": note}


def timed(work: Callable[..., object], *args: object, **kwargs: object) -> float:
    started = time.perf_counter()
    work(*args, **kwargs)
    return time.perf_counter() - started


def dataset(
    storage: Storage, split: Split, shards: int = SHARDS, rows: int = ROWS
) -> DatasetVersion:
    """Write shards of random images."""
    noise = np.random.default_rng(0)
    records = []
    for first in range(0, shards * rows, rows):
        images = Rows(
            labels=noise.integers(0, 10, rows).tolist(),
            names=[None] * rows,
            pixels=noise.integers(0, 256, (rows, *SHAPE.dims), dtype=np.uint8),
        )
        piece = Piece(file=split, start=first, rows=rows, fingerprint="")
        records.append(write_shard(storage, "noise", LAYOUT, piece, images, first))
    version = DatasetVersion(
        name="noise",
        split=split,
        classes=LAYOUT.classes,
        shape=SHAPE,
        shards=tuple(records),
        ranges={},
    )
    version.save(storage)
    return version


def short_runs(versions: dict[Split, DatasetVersion]) -> list[Run]:
    size = replace(preset("demo"), ensemble=RUNS)
    fleet = build_fleet(
        size,
        net=NetSpec(name="small_cnn"),
        recipe=replace(recipe("quick"), min_steps=0, epochs=20),
        hardware=Hardware(),
        seed=0,
        train_rows=versions["train"].rows,
    )
    keys = {split: version.version for split, version in versions.items()}
    return [identify(spec, keys) for spec in fleet.ensemble]


def one_run(storage: Storage, versions: dict[Split, DatasetVersion]) -> Run:
    """Train the run to score with."""
    run = short_runs(versions)[0]
    run = replace(run, spec=replace(run.spec, net=NetSpec(name="paper_cnn")), key="base")
    data = {split: load_training_set(storage, version) for split, version in versions.items()}
    train_run(storage, run, {split: v.version for split, v in versions.items()}, data)
    return run


def scoring_job(
    storage: Storage, version: DatasetVersion, run: Run, steps: int = 25
) -> tuple[ScoringJob, list[ShardTasks]]:
    config = metric("adv_l2").config(steps=steps)
    runs = (RunRef(key=run.key),)
    assignment = Assignment(metric="adv_l2", config=config, split=version.split, runs=runs)
    job = ScoringJob(
        data=ShardData(storage=storage, dataset="noise", shape=SHAPE),
        classes=10,
        assignments=(assignment,),
    )
    return job, [ShardTasks(record=record, tasks=((0, ""),)) for record in version.shards]


def renamed(work: Sequence[ShardTasks], turn: str) -> list[ShardTasks]:
    """Rename the tasks, so that no earlier result is found."""
    return [replace(item, tasks=((0, f"{turn}-{i}"),)) for i, item in enumerate(work)]


def score_in_a_loop(job: ScoringJob, work: Sequence[ShardTasks], options: SignalOptions) -> None:
    torch.set_num_threads(1)
    scorer = Scorer(job.data.storage, job.data.dataset, options)
    for item in work:
        shard = read_shard(job.data.storage, job.data.dataset, item.record, job.data.shape)
        tasks = [Task(assignment=job.assignments[i], key=key) for i, key in item.tasks]
        scorer.score(item.record.content, shard, job.classes, tasks)
