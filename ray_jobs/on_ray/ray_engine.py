"""The engine on Ray: turns the requests of jobs into Tune trials, Ray Data pipelines and tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import ray

from ray_jobs.jobs.meter import Meter
from ray_jobs.jobs.stalls import watching
from ray_jobs.on_ray.cluster import cluster, total
from ray_jobs.on_ray.counters import counting_stages
from ray_jobs.on_ray.errors import telling, unwrapped
from ray_jobs.on_ray.for_each import Work, for_each
from ray_jobs.on_ray.layers_at_rest import bring_to_rest
from ray_jobs.on_ray.make_shards import make_shards
from ray_jobs.on_ray.map_shards import PoolOptions
from ray_jobs.on_ray.metering import IsOver, metering
from ray_jobs.on_ray.score_shards import score_shards
from ray_jobs.on_ray.stage_features import stage_features
from ray_jobs.on_ray.waiting import asking
from ray_jobs.terminal.night_flags import MachineFlags
from scoring.score.signals import SignalOptions
from scoring.store.scratch import remove_unused

if TYPE_CHECKING:
    from scoring.analysis.clusters import Map, MapSettings
    from scoring.analysis.example_sets import Group
    from scoring.analysis.map_vectors import Vectors
    from scoring.arrays import Ints
    from scoring.data.ingest import PlannedShard
    from scoring.data.shards import ShardRecord
    from scoring.data.slice import Slice
    from scoring.data.sources import Layout, Source
    from scoring.data.versions import DatasetVersion
    from scoring.runs.record import Run
    from scoring.score.shard_job import ScoringJob, ShardTasks
    from scoring.store.keys import Split
    from scoring.store.storage import Storage


Item = TypeVar("Item")
Made = TypeVar("Made")
Versions = Mapping["Split", "DatasetVersion"]


@contextmanager
def ray_engine(machine: MachineFlags, dataset: str, meter: Meter) -> Iterator[RayEngine]:
    """Join a cluster, or start one on this machine and stop it at the end.

    Before and after, what no process uses is removed from this machine's scratch space: earlier
    jobs may have been killed, and so may workers of this one.
    """
    remove_unused(machine.scratch_here)
    try:
        with (
            cluster(machine.address, machine.cpus),
            counting_stages(dataset),
            metering(meter) as is_over,
        ):
            yield RayEngine(machine=machine, meter=meter, is_over=is_over)
    finally:
        remove_unused(machine.scratch_here)


@dataclass(frozen=True, kw_only=True)
class RayEngine:
    """Implements `ray_jobs.engine.Engine` on the Ray that this process has joined."""

    machine: MachineFlags
    meter: Meter
    is_over: IsOver

    def over(self) -> str:
        """Return which cap of the job is reached, for a message; "" while none is."""
        return self.meter.over()

    @unwrapped()
    def device(self, preferred: str) -> str:
        """Return the preferred device if the cluster has it, else "cpu"."""
        return preferred if total("GPU") else "cpu"

    @unwrapped()
    def make_shards(
        self,
        source: Source,
        storage: Storage,
        layout: Layout,
        missing: Sequence[PlannedShard],
    ) -> dict[str, ShardRecord]:
        """Run a task for each piece."""
        return make_shards(source, storage, layout, missing, self.is_over)

    @unwrapped()
    def train(
        self,
        storage: Storage,
        missing: Sequence[Run],
        versions: Versions,
        *,
        slices: Mapping[str, Slice] | None = None,
    ) -> tuple[Run, ...]:
        """Run Tune trials, with several short runs in each."""
        from ray_jobs.on_ray.train_fleet import train_fleet  # Tune takes a second to import

        return train_fleet(
            storage,
            missing,
            versions,
            train_memory=self.machine.train_memory_bytes,
            scratch=self.machine.scratch_folder,
            gpus_per_run=self.machine.gpus_per_run,
            is_over=self.is_over,
            slices=slices,
        )

    @unwrapped()
    def stage_features(
        self,
        storage: Storage,
        run: str,
        layer: str,
        versions: Sequence[DatasetVersion],
        device: str,
    ) -> None:
        """Map shards through a pool of actors that hold the net."""
        options = self._options(device, keep_logits=False)
        stage_features(storage, run, layer, versions, options, self._pool(device), self.is_over)

    @unwrapped()
    def bring_to_rest(
        self,
        storage: Storage,
        missing: Sequence[Run],
        versions: Versions,
        device: str,
    ) -> tuple[Run, ...]:
        """Stage features shard by shard, then run a task on one node for each layer."""
        for run in missing:
            layer = run.spec.layer_at_rest.layer
            self.stage_features(storage, run.parent, layer, list(versions.values()), device)
        if self.is_over():  # maybe before all features were staged
            return tuple(missing)
        return bring_to_rest(
            storage,
            missing,
            versions,
            memory=self.machine.train_memory_bytes,
            scratch=self.machine.scratch_folder,
        )

    @unwrapped()
    def score(
        self,
        job: ScoringJob,
        work: Sequence[ShardTasks],
        device: str,
        *,
        keep_logits: bool,
        most_rows: int | None = None,
    ) -> None:
        """Map shards through a pool of actors that hold weights."""
        options = self._options(device, keep_logits=keep_logits, most_rows=most_rows)
        score_shards(job, work, options, self._pool(device), self.is_over)

    @unwrapped()
    def draw_maps(
        self, vectors: Vectors, wanted: Mapping[Group, Ints], settings: MapSettings
    ) -> dict[Group, Map]:
        """Pick vectors shard by shard, then let Ray Data group them."""
        from ray_jobs.on_ray.maps import draw_maps  # imports scikit-learn

        return draw_maps(vectors, wanted, settings)

    @unwrapped()
    def for_each(
        self, stage: str, unit: str, begin: Callable[[], Work[Item]], items: Sequence[Item]
    ) -> None:
        """Map items through a pool of actors."""
        for_each(stage, unit, begin, items)

    @unwrapped()
    def call(self, function: Callable[..., Made], *arguments: object) -> Made:
        """Run one task."""
        task = ray.remote(num_cpus=1)(telling(function))
        with asking("task", "it", {"CPU": 1}), watching("task", "it to end"):
            made: Made = ray.get(task.remote(*arguments))
        return made

    def _options(
        self, device: str, *, keep_logits: bool, most_rows: int | None = None
    ) -> SignalOptions:
        return SignalOptions(
            batch_rows=min(self.machine.batch_rows, most_rows or self.machine.batch_rows),
            device=device,
            cache_bytes=self.machine.cache_bytes,
            keep_outputs=keep_logits,
        )

    def _pool(self, device: str) -> PoolOptions:
        gpus = self.machine.gpus_per_scorer if device == "cuda" else 0.0
        return PoolOptions(gpus_per_actor=gpus, weights_bytes=self.machine.cache_bytes)
