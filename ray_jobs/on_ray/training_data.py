"""Both splits, decoded, for all runs of a node: in shared memory if they fit, else on its disk.

Runs see the same arrays either way, so this never changes their weights.
"""

import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import ray
from ray.exceptions import RayError

from ray_jobs.jobs.stalls import watching
from scoring.data.training_set import TrainingSet
from scoring.data.versions import DatasetVersion, load_training_set
from scoring.store.keys import Split
from scoring.store.private_folder import private_folder
from scoring.store.storage import Storage

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """How a worker gets the splits."""

    storage: Storage
    versions: Mapping[Split, DatasetVersion]
    refs: Mapping[Split, "ray.ObjectRef[TrainingSet]"]
    """In Ray's object store, which all workers of a node map without a copy; empty: on disk."""

    def sets(self) -> dict[Split, TrainingSet]:
        """Return both splits without copying them."""
        return {split: self._set(split) for split in self.versions}

    def _set(self, split: Split) -> TrainingSet:
        if split in self.refs:
            try:
                return ray.get(self.refs[split])
            except RayError as error:  # lost with its node
                _log.warning("reading the %s split again: %s", split, type(error).__name__)
        return map_from_disk(self.storage, self.versions[split])


def share_training_data(
    storage: Storage, versions: Mapping[Split, DatasetVersion], budget: int
) -> TrainingData:
    """Put both splits where runs find them.

    Args:
        storage: the store that holds the shards.
        versions: the splits.
        budget: most bytes of decoded examples to hold in memory.
    """
    size = sum(version.rows * version.shape.nbytes for version in versions.values())
    if size > budget:
        return TrainingData(storage=storage, versions=versions, refs={})
    # On a worker, since the driver may be a small head node; before any run begins, and never again
    # if lost, since runs that hold every CPU would wait for it while it waits for a CPU.
    load = ray.remote(max_retries=0)(load_training_set)
    refs = {split: load.remote(storage, version) for split, version in versions.items()}
    with watching("train", "the training data to be decoded"):
        ray.wait(list(refs.values()), num_returns=len(refs), fetch_local=False)
    return TrainingData(storage=storage, versions=versions, refs=refs)


def map_from_disk(storage: Storage, version: DatasetVersion) -> TrainingSet:
    """Decode a split, once per node, into a file that all runs of the node map; return the map."""
    folder = private_folder() / version.version
    inputs, rows = folder / "inputs.npy", folder / "rows.npy"
    if not (inputs.exists() and rows.exists()):
        folder.mkdir(parents=True, exist_ok=True)
        _decode_to(storage, version, inputs, rows)
    ids, labels = np.load(rows)
    return TrainingSet(
        ids=ids,
        inputs=np.load(inputs, mmap_mode="r")[: len(ids)],
        labels=labels,
        classes=len(version.classes),
    )


def _decode_to(storage: Storage, version: DatasetVersion, inputs: Path, rows: Path) -> None:
    """Write two files, inputs and their ids and labels, each whole or not at all."""
    unfinished_inputs = inputs.with_suffix(f".{uuid.uuid4().hex}")
    shape = (version.rows, *version.shape.dims)
    mapped = np.lib.format.open_memmap(unfinished_inputs, "w+", version.shape.dtype, shape)
    data = load_training_set(storage, version, into=mapped)
    mapped.flush()
    unfinished_rows = rows.with_suffix(f".{uuid.uuid4().hex}.npy")
    np.save(unfinished_rows, np.stack([data.ids, data.labels]))
    unfinished_rows.replace(rows)
    unfinished_inputs.replace(inputs)
