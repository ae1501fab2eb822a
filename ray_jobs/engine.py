"""The one door to Ray: the work that jobs hand to a cluster.

Artefacts go to the store, and only receipts come back. Jobs know nothing but this protocol, so
planning, publishing and describing need no Ray. `ray_jobs.on_ray` implements it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol, TypeVar

from ray_jobs.jobs.meter import Meter

if TYPE_CHECKING:  # only types: the implementation imports what it needs
    from ray_jobs.terminal.night_flags import MachineFlags
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
Work = Callable[[Item], object]
"""Called with an item; writes its result itself."""


class Engine(Protocol):
    """A cluster at work for one job.

    Once a cap of the job is reached, no shard and no epoch is begun. Everything made by then stays
    in the store, and the same call continues from there.
    """

    def over(self) -> str:
        """Return which cap of the job is reached, for a message; "" while none is."""

    def device(self, preferred: str) -> str:
        """Return the device to run nets on: the preferred one if the cluster has it, else "cpu"."""

    def make_shards(
        self,
        source: Source,
        storage: Storage,
        layout: Layout,
        missing: Sequence[PlannedShard],
    ) -> dict[str, ShardRecord]:
        """Turn pieces of a source into shards; return the record of each by its receipt.

        Raises:
            UserError: the data cannot be used.
        """

    def train(
        self,
        storage: Storage,
        missing: Sequence[Run],
        versions: Versions,
        *,
        slices: Mapping[str, Slice] | None = None,
    ) -> tuple[Run, ...]:
        """Train runs, parents before children; return those that are still missing.

        Args:
            storage: the store to write runs to.
            missing: the runs to train.
            versions: the dataset versions to train on.
            slices: by run key, the slice of its split to train on; other runs train on all of it.
        """

    def stage_features(
        self,
        storage: Storage,
        run: str,
        layer: str,
        versions: Sequence[DatasetVersion],
        device: str,
    ) -> None:
        """Stage the features that a layer of a finished run sees, shard by shard.

        Raises:
            IncompleteError: some shards could not be done.
        """

    def bring_to_rest(
        self,
        storage: Storage,
        missing: Sequence[Run],
        versions: Versions,
        device: str,
    ) -> tuple[Run, ...]:
        """Make representer runs whose parents are finished; return those that are still missing.

        Raises:
            IncompleteError: the features of some shards could not be staged.
        """

    def score(
        self,
        job: ScoringJob,
        work: Sequence[ShardTasks],
        device: str,
        *,
        keep_logits: bool,
        most_rows: int | None = None,
    ) -> None:
        """Stage the scores of every task.

        Args:
            job: what all shards share.
            work: the shards, and the tasks that each still lacks.
            device: the device to run nets on.
            keep_logits: read logits from the store, and add those it lacks.
            most_rows: the most rows that are scored of a shard, if not all: no batch is larger.

        Raises:
            IncompleteError: some shards could not be done.
        """

    def draw_maps(
        self, vectors: Vectors, wanted: Mapping[Group, Ints], settings: MapSettings
    ) -> dict[Group, Map]:
        """Draw a map of each group's examples, given by their ascending ids."""

    def for_each(
        self, stage: str, unit: str, begin: Callable[[], Work[Item]], items: Sequence[Item]
    ) -> None:
        """Call a function with every item, spread over workers.

        Args:
            stage: name of the stage in the progress display.
            unit: name of an item there.
            begin: called once on each worker; returns the function to call with each item.
            items: the items.

        Raises:
            IncompleteError: some items could not be done.
        """

    def call(self, function: Callable[..., Made], *arguments: object) -> Made:
        """Call a function on a worker, since the driver may be a small head node."""


def engine(
    machine: MachineFlags, dataset: str = "", meter: Meter | None = None
) -> AbstractContextManager[Engine]:
    """Join a cluster, or start Ray on this machine for the duration of the block.

    Ray takes seconds to import, so jobs call this only once they know that there is work.

    Args:
        machine: which cluster, and how much of it to use.
        dataset: the label of its counters.
        meter: counts what the job uses, and knows its caps; None: there are none.
    """
    from ray_jobs.on_ray.ray_engine import ray_engine

    return ray_engine(machine, dataset, meter or Meter())
