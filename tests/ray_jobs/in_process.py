"""An engine without Ray: the same work in this process, item by item.

Whole nights take seconds on it. `tests/ray_jobs/on_ray` shows that Ray gives the same results.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import torch

from ray_jobs.cli import main
from ray_jobs.jobs.meter import Meter
from ray_jobs.jobs.pace import Pace, training_pace, weigh
from ray_jobs.jobs.progress import Progress
from scoring.analysis.clusters import Map, MapSettings, draw_map
from scoring.analysis.example_sets import Group
from scoring.analysis.map_vectors import Vectors
from scoring.data.ingest import PlannedShard, ingest_piece
from scoring.data.shards import ShardRecord, read_shard
from scoring.data.slice import Slice
from scoring.data.sources import Layout, Source
from scoring.data.versions import DatasetVersion, load_training_set
from scoring.errors import ProtoscoreError
from scoring.representers.layer_rows import gather_rows
from scoring.runs.at_rest import make_run
from scoring.runs.record import Run, finished
from scoring.runs.train_one import train_run
from scoring.score.assignments import passes
from scoring.score.extract import Extractor
from scoring.score.shard_job import ScoringJob, ShardScorer, ShardTasks
from scoring.score.signals import SignalOptions
from scoring.store.keys import Split, jsonable
from scoring.store.storage import Storage

Versions = Mapping[Split, DatasetVersion]
Rescore = Callable[..., int]
DOOR = "ray_jobs.on_ray.ray_engine"


@contextmanager
def jobs_in_process() -> Iterator[None]:
    """Let the door to Ray open onto this process for the length of the block."""
    before = sys.modules.get(DOOR)
    sys.modules[DOOR] = SimpleNamespace(ray_engine=_in_process)  # type: ignore[assignment]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as Ray's actors
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        del sys.modules[DOOR]
        if before:
            sys.modules[DOOR] = before


def rescoring(fresh: Path) -> Rescore:
    """`protoscore rescore`, by default on a fresh store and with runs of an epoch or two.

    Batches are small because shards are, and would be padded to full ones.
    """
    defaults = {"--recipe": "smoke", "--batch-rows": "50"}

    def run(*flags: str, store: str | Path = fresh) -> int:
        more = [part for flag in defaults.items() if flag[0] not in flags for part in flag]
        return main(["rescore", "--store", str(store), *flags, *more])

    return run


@contextmanager
def _in_process(machine: Any, dataset: str, meter: Meter) -> Iterator["InProcessEngine"]:
    engine = InProcessEngine(machine=machine, meter=meter)
    within_another = meter.counts
    meter.count(1.0, engine.gpus)
    yield engine
    if not within_another:
        meter.stop()


@dataclass(frozen=True, kw_only=True)
class InProcessEngine:
    """Implements `ray_jobs.engine.Engine` by plain loops."""

    machine: Any
    meter: Meter = field(default_factory=Meter)
    gpus: ClassVar[float] = 0.0
    """GPUs that the meter is told of; nothing runs on them."""

    def over(self) -> str:
        return self.meter.over()

    def device(self, preferred: str) -> str:
        return "cpu"

    def make_shards(
        self,
        source: Source,
        storage: Storage,
        layout: Layout,
        missing: Sequence[PlannedShard],
    ) -> dict[str, ShardRecord]:
        made = {}
        with Progress("ingest", len(missing), "shard") as progress:
            for piece in missing:
                if not self.over():
                    began = time.perf_counter()
                    record = ingest_piece(source, storage, layout, piece)
                    made[piece.receipt] = record
                    seconds = time.perf_counter() - began
                    pace = Pace(kind="ingest", amount=record.rows, seconds=seconds)
                    progress.advance(1, pace)
        return made

    def train(
        self,
        storage: Storage,
        missing: Sequence[Run],
        versions: Versions,
        *,
        slices: Mapping[str, Slice] | None = None,
    ) -> tuple[Run, ...]:
        if not missing:
            return ()
        data = {split: load_training_set(storage, version) for split, version in versions.items()}
        with Progress("train", len(missing), "run") as progress:
            for run in missing:
                keys, sets = {s: version.version for s, version in versions.items()}, dict(data)
                if slices and run.key in slices:
                    split, part = run.spec.split, slices[run.key]
                    keys[split], sets[split] = part.key, sets[split].only(part.ids, part.labels)
                began = time.perf_counter()
                try:
                    made = train_run(storage, run, keys, sets, is_over=lambda: bool(self.over()))
                    rows = {split: len(data) for split, data in sets.items()}
                    looked_at = run.spec.looked_at(rows) if made.tallied else 0.0
                    pace = training_pace(made, time.perf_counter() - began, looked_at)
                    progress.advance(1, pace)
                except ProtoscoreError as error:
                    progress.note(f"run failed: {run.spec.label}: {error}")
        return _unfinished(storage, missing)

    def stage_features(
        self,
        storage: Storage,
        run: str,
        layer: str,
        versions: Sequence[DatasetVersion],
        device: str,
    ) -> None:
        extractor = Extractor(storage, run, layer, self._options(keep_logits=False))
        for version in versions:
            for record in version.shards:
                shard = read_shard(storage, version.name, record, version.shape)
                extractor.stage(record, shard)

    def bring_to_rest(
        self,
        storage: Storage,
        missing: Sequence[Run],
        versions: Versions,
        device: str,
    ) -> tuple[Run, ...]:
        for run in missing:
            layer, memory = run.spec.layer_at_rest.layer, self.machine.train_memory_bytes
            self.stage_features(storage, run.parent, layer, list(versions.values()), device)
            rows = {
                s: gather_rows(storage, run.parent, layer, v, memory, self.machine.scratch_folder)
                for s, v in versions.items()
            }
            keys = {s: v.version for s, v in versions.items()}
            with Progress("solve", 1, "layer") as progress:
                began = time.perf_counter()
                made = make_run(storage, run, keys, rows, threads=1)
                progress.advance(1, training_pace(made, time.perf_counter() - began))
        return _unfinished(storage, missing)

    def score(
        self,
        job: ScoringJob,
        work: Sequence[ShardTasks],
        device: str,
        *,
        keep_logits: bool,
        most_rows: int | None = None,
    ) -> None:
        if not work:
            return
        scorer = ShardScorer(job, self._options(keep_logits=keep_logits, most_rows=most_rows))
        with Progress("score", len(work), "shard") as progress:
            for item in work if not self.over() else ():
                data = job.data
                shard = read_shard(data.storage, data.dataset, item.record, data.shape)
                began = time.perf_counter()
                rows, done = scorer(item.record, shard, jsonable(item))
                seconds = time.perf_counter() - began
                amount = rows * weigh(passes(done))
                progress.advance(1, Pace(kind="score", amount=amount, seconds=seconds))

    def draw_maps(
        self, vectors: Vectors, wanted: Mapping[Group, np.ndarray], settings: MapSettings
    ) -> dict[Group, Map]:
        maps = {}
        for group, ids in wanted.items():
            found: dict[int, np.ndarray] = {}
            for record in vectors.version.shards:
                found |= vectors.read(record, ids)
            if found:
                rows = np.stack([found[i].reshape(-1) for i in found])
                maps[group] = draw_map(np.array(list(found)), rows, settings)
        return maps

    def for_each(
        self, stage: str, unit: str, begin: Callable[[], Callable[[Any], object]], items: Sequence
    ) -> None:
        if not items:
            return
        work = begin()
        with Progress(stage, len(items), unit) as progress:
            for item in items:
                work(item)
                progress.advance()

    def call(self, function: Callable[..., Any], *arguments: object) -> Any:
        return function(*arguments)

    def _options(self, *, keep_logits: bool, most_rows: int | None = None) -> SignalOptions:
        rows = self.machine.batch_rows
        return SignalOptions(
            batch_rows=min(rows, most_rows or rows),
            cache_bytes=self.machine.cache_bytes,
            keep_outputs=keep_logits,
        )


def _unfinished(storage: Storage, runs: Sequence[Run]) -> tuple[Run, ...]:
    done = finished(storage, [run.key for run in runs])
    return tuple(run for run in runs if run.key not in done)
