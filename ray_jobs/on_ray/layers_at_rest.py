"""Makes representer runs: features by Ray Data, shard by shard, then the solution on one node."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import ray
import torch
from ray.exceptions import RayTaskError

from ray_jobs.jobs.progress import Progress
from ray_jobs.on_ray.map_shards import PoolOptions, ShardData, map_shards
from scoring.data.shards import Shard, ShardRecord
from scoring.data.versions import DatasetVersion
from scoring.errors import ProtoscoreError
from scoring.representers.layer_rows import gathered
from scoring.runs.at_rest import make_run
from scoring.runs.record import Run, finished
from scoring.score.extract import Extractor
from scoring.score.signals import SignalOptions
from scoring.store.keys import Split
from scoring.store.storage import Storage

_MOST_CPUS = 16.0  # beyond, the solution waits for memory


@dataclass(frozen=True, kw_only=True)
class FeatureTask:
    """A shard whose features are missing."""

    record: ShardRecord


def stage_features(
    storage: Storage,
    run: str,
    layer: str,
    versions: Sequence[DatasetVersion],
    options: SignalOptions,
    pool: PoolOptions,
    until: float = math.inf,
) -> None:
    """Stage what a layer of a finished run sees of every shard of some splits of a dataset.

    Raises:
        IncompleteError: shards did not come through; what is staged stays.
    """
    there = storage.names(f"features/{run}/{layer}")
    shards = {shard.content: shard for version in versions for shard in version.shards}
    work = [
        FeatureTask(record=shard)
        for content, shard in shards.items()
        if f"{content}.parquet" not in there
    ]
    data = ShardData(storage=storage, dataset=versions[0].name, shape=versions[0].shape)
    begin = partial(_Extract, storage, run, layer, options)
    map_shards("features", data, work, begin, pool, until)


class _Extract:
    """Holds the net between shards."""

    def __init__(self, storage: Storage, run: str, layer: str, options: SignalOptions) -> None:
        self._extractor = Extractor(storage, run, layer, options)

    def __call__(self, record: ShardRecord, shard: Shard, about: dict[str, Any]) -> None:
        self._extractor.stage(record, shard)


def make_representers(
    storage: Storage,
    missing: Sequence[Run],
    versions: Mapping[Split, DatasetVersion],
    options: SignalOptions,
    pool: PoolOptions,
    *,
    memory: int,
    until: float = math.inf,
) -> tuple[Run, ...]:
    """Make representer runs whose parents are finished.

    Args:
        storage: the store.
        missing: what to make.
        versions: the splits: the layer comes to rest on train, test is where it is proved.
        options: how features are made.
        pool: resources for that.
        memory: bytes of features to hold at most; more goes to the node's disk.
        until: time (seconds since the epoch) after which no shard is begun.

    Returns:
        Those that are still missing.
    """
    if not missing:
        return ()
    for run in missing:
        assert run.spec.representer is not None
        layer, splits = run.spec.representer.layer, list(versions.values())
        stage_features(storage, run.parent, layer, splits, options, pool, until)
    cpus = min(_MOST_CPUS, _largest_node())
    solve = ray.remote(num_cpus=cpus)(_solve)
    with Progress("solve", len(missing), "layer") as progress:
        for run in missing:
            try:
                ray.get(solve.remote(storage, run, versions, memory, int(cpus)))
                progress.advance()
            except RayTaskError as error:
                if not isinstance(error.cause, ProtoscoreError):
                    raise
                progress.note(f"run failed: {run.spec.label}: {error.cause}")
    done = finished(storage, [run.key for run in missing])
    return tuple(run for run in missing if run.key not in done)


def _solve(
    storage: Storage,
    run: Run,
    versions: Mapping[Split, DatasetVersion],
    memory: int,
    threads: int,
) -> None:
    torch.set_num_threads(1)  # rows are shared out among threads of our own
    assert run.spec.representer is not None
    layer = run.spec.representer.layer
    rows = {s: gathered(storage, run.parent, layer, v, memory) for s, v in versions.items()}
    make_run(storage, run, {s: v.version for s, v in versions.items()}, rows, threads)


def _largest_node() -> float:
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    return float(max(node["Resources"].get("CPU", 0.0) for node in nodes if node["Alive"]))
