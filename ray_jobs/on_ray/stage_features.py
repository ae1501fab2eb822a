"""Features by Ray Data: the inputs of a layer of a run's net, for every shard."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ray_jobs.on_ray.map_shards import PoolOptions, map_shards
from ray_jobs.on_ray.metering import IsOver, never
from scoring.data.shards import Shard, ShardRecord
from scoring.data.versions import DatasetVersion
from scoring.score.extract import Extractor
from scoring.score.shard_job import ShardData
from scoring.score.signals import SignalOptions
from scoring.store.layout import features_folder
from scoring.store.storage import Storage


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
    is_over: IsOver = never,
) -> None:
    """Stage the features of every shard of some splits of a dataset.

    Args:
        storage: the store.
        run: key of a finished run.
        layer: name of a linear layer of its net.
        versions: the splits.
        options: memory and device of an actor.
        pool: resources of the pool.
        is_over: whether no shard is to be begun any more.

    Raises:
        IncompleteError: some shards could not be done. What is staged stays.
    """
    shards = {shard.content: shard for version in versions for shard in version.shards}
    staged = storage.names(features_folder(run, layer))
    work = [
        FeatureTask(record=shard)
        for content, shard in shards.items()
        if f"{content}.parquet" not in staged
    ]
    data = ShardData(storage=storage, dataset=versions[0].name, shape=versions[0].shape)
    begin = partial(_Extract, storage, run, layer, options)
    map_shards("features", data, work, begin, pool, is_over)


class _Extract:
    """Keeps the net between shards."""

    def __init__(self, storage: Storage, run: str, layer: str, options: SignalOptions) -> None:
        self._extractor = Extractor(storage, run, layer, options)

    def __call__(self, record: ShardRecord, shard: Shard, task: Mapping[str, Any]) -> float:
        self._extractor.stage(record, shard)
        return record.rows
