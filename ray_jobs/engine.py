"""The one door to Ray: what jobs have done on a cluster.

Artefacts go to the store; receipts are all that comes back. Jobs know this protocol alone, so that
planning, publishing and describing need no Ray. `ray_jobs.on_ray` implements it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:  # types alone: whoever opens the door imports what it needs
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
"""What is done with an item; it writes its result itself."""


class Engine(Protocol):
    """A cluster at work for one job.

    `until` is a time in seconds since the epoch after which no shard and no epoch is begun.
    Everything that was made by then stays, and the same call goes on from there.
    """

    def device(self, preferred: str) -> str:
        """The device to run nets on: the preferred one if the cluster has it, else "cpu"."""

    def make_shards(
        self,
        source: Source,
        storage: Storage,
        layout: Layout,
        missing: Sequence[PlannedShard],
        until: float = math.inf,
    ) -> dict[str, ShardRecord]:
        """Turn pieces of a source into shards; returns the record of each by its receipt.

        Raises:
            UserError: the data cannot be used.
        """

    def train(
        self,
        storage: Storage,
        missing: Sequence[Run],
        versions: Versions,
        *,
        until: float = math.inf,
        slices: Mapping[str, Slice] | None = None,
    ) -> tuple[Run, ...]:
        """Train runs, parents before children; returns those that are still missing.

        Args:
            storage: the store that runs are written to.
            missing: the runs to train.
            versions: the dataset versions that they train on.
            until: when to stop.
            slices: run key to the slice of its split that it trains on; other runs train on all.
        """

    def stage_features(
        self,
        storage: Storage,
        run: str,
        layer: str,
        versions: Sequence[DatasetVersion],
        device: str,
        until: float = math.inf,
    ) -> None:
        """Stage the features that a layer of a finished run sees, shard by shard.

        Raises:
            IncompleteError: shards did not come through.
        """

    def bring_to_rest(
        self,
        storage: Storage,
        missing: Sequence[Run],
        versions: Versions,
        device: str,
        until: float = math.inf,
    ) -> tuple[Run, ...]:
        """Make representer runs whose parents are finished; returns those still missing.

        Raises:
            IncompleteError: features did not come through.
        """

    def score(
        self,
        job: ScoringJob,
        work: Sequence[ShardTasks],
        device: str,
        *,
        keep_logits: bool,
        most_rows: int | None = None,
        until: float = math.inf,
    ) -> None:
        """Stage the scores of every task.

        Args:
            job: what all shards share.
            work: the shards and what each still lacks.
            device: where nets run.
            keep_logits: read the logits that the store has, and keep those it lacks.
            most_rows: of a shard that are scored, where that is less than all: no batch is larger.
            until: when to stop.

        Raises:
            IncompleteError: shards did not come through.
        """

    def draw_maps(
        self, vectors: Vectors, wanted: Mapping[Group, Ints], settings: MapSettings
    ) -> dict[Group, Map]:
        """Map the examples of each group, given by ascending ids."""

    def for_each(
        self, stage: str, unit: str, begin: Callable[[], Work[Item]], items: Sequence[Item]
    ) -> None:
        """Do some work on every item, each on some worker.

        Args:
            stage: what progress is shown as.
            unit: what an item is called there.
            begin: called once on each worker; returns what is done with an item.
            items: what to work on.

        Raises:
            IncompleteError: items did not come through.
        """

    def call(self, function: Callable[..., Made], *arguments: object) -> Made:
        """Call a function on a worker: the driver may be a small head node."""


def engine(machine: MachineFlags, dataset: str = "") -> AbstractContextManager[Engine]:
    """Join a cluster, or start Ray on this machine for the duration of the block.

    Ray takes seconds to import: a job opens the door once it knows that there is work.

    Args:
        machine: which cluster, and how much of it to use.
        dataset: what its counters are labelled with.
    """
    from ray_jobs.on_ray.engine import ray_engine

    return ray_engine(machine, dataset)
