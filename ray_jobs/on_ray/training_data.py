"""Both splits, decoded, for all runs of a node: in shared memory if they fit, else on its disk.

Runs see the same arrays either way, so this never changes their weights.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import ray
from ray.exceptions import RayError

from ray_jobs.jobs.stalls import watching
from scoring.data.mapped_set import map_training_set
from scoring.data.training_set import TrainingSet
from scoring.data.versions import DatasetVersion, load_training_set
from scoring.logs import logger
from scoring.store.keys import Split
from scoring.store.scratch import Scratch
from scoring.store.storage import Storage

_log = logger(__name__)


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """How a worker gets the splits."""

    storage: Storage
    versions: Mapping[Split, DatasetVersion]
    refs: Mapping[Split, "ray.ObjectRef[TrainingSet]"]
    """In Ray's object store, which all workers of a node map without a copy; empty: on disk."""
    scratch: str = ""
    """The folder that --scratch names."""

    def sets(self) -> dict[Split, TrainingSet]:
        """Return both splits without copying them.

        Raises:
            Outage: the node's scratch space has no room for them.
        """
        return {split: self._set(split) for split in self.versions}

    def _set(self, split: Split) -> TrainingSet:
        if split in self.refs:
            try:
                return ray.get(self.refs[split])
            except RayError as error:  # lost with its node
                _log.warning("reading the %s split again: %s", split, type(error).__name__)
        return map_training_set(self.storage, self.versions[split], Scratch(self.scratch))


def share_training_data(
    storage: Storage, versions: Mapping[Split, DatasetVersion], budget: int, scratch: str = ""
) -> TrainingData:
    """Put both splits where runs find them.

    Args:
        storage: the store that holds the shards.
        versions: the splits.
        budget: most bytes of decoded examples to hold in memory.
        scratch: the folder that --scratch names.
    """
    size = sum(version.rows * version.shape.nbytes for version in versions.values())
    if size > budget:
        return TrainingData(storage=storage, versions=versions, refs={}, scratch=scratch)
    # On a worker, since the driver may be a small head node; before any run begins, and never again
    # if lost, since runs that hold every CPU would wait for it while it waits for a CPU.
    load = ray.remote(max_retries=0)(load_training_set)
    refs = {split: load.remote(storage, version) for split, version in versions.items()}
    with watching("train", "the training data to be decoded"):
        ray.wait(list(refs.values()), num_returns=len(refs), fetch_local=False)
    return TrainingData(storage=storage, versions=versions, refs=refs, scratch=scratch)
