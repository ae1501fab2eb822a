"""Both splits, decoded, for every run of a node: in shared memory while they fit, else on its disk.

Either way a run sees the same arrays, so where they lie never changes its weights.
"""

import logging
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import ray
from ray.exceptions import RayError

from scoring.data.training_set import TrainingSet
from scoring.data.versions import DatasetVersion, load_training_set
from scoring.store.keys import Split
from scoring.store.storage import Storage

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """How a worker gets the splits."""

    storage: Storage
    versions: Mapping[Split, DatasetVersion]
    refs: Mapping[Split, "ray.ObjectRef[TrainingSet]"]
    """In Ray's object store, mapped by every worker of a node without a copy; or empty."""

    def sets(self) -> dict[Split, TrainingSet]:
        """Both splits, without a copy of what they hold."""
        return {split: self._set(split) for split in self.versions}

    def _set(self, split: Split) -> TrainingSet:
        if split in self.refs:
            try:
                return ray.get(self.refs[split])
            except RayError as error:  # it died with its node
                _log.warning("reading the %s split anew: %s", split, type(error).__name__)
        return map_from_disk(self.storage, self.versions[split])


def share_training_data(
    storage: Storage, versions: Mapping[Split, DatasetVersion], budget: int
) -> TrainingData:
    """Put both splits where runs find them.

    Args:
        storage: the store that holds the shards.
        versions: the splits.
        budget: bytes of decoded examples to hold in memory at most.
    """
    held = sum(v.rows * v.shape.nbytes for v in versions.values())
    if held > budget:
        return TrainingData(storage=storage, versions=versions, refs={})
    # On a worker: the driver may be a small head node. Neither begun beside runs nor made again
    # where it is lost: runs that hold every CPU would wait for it, and it for a CPU.
    load = ray.remote(max_retries=0)(load_training_set)
    refs = {split: load.remote(storage, version) for split, version in versions.items()}
    ray.wait(list(refs.values()), num_returns=len(refs), fetch_local=False)
    return TrainingData(storage=storage, versions=versions, refs=refs)


def map_from_disk(storage: Storage, version: DatasetVersion) -> TrainingSet:
    """Decode a split once per node into a file that all its runs map, and map it."""
    folder = Path(tempfile.gettempdir()) / "protoscore" / version.version
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
    """Write both files, of inputs and of their ids and labels, each whole or not at all."""
    partial = inputs.with_suffix(f".{uuid.uuid4().hex}")
    shape = (version.rows, *version.shape.dims)
    place = np.lib.format.open_memmap(partial, "w+", version.shape.dtype, shape)
    data = load_training_set(storage, version, into=place)
    place.flush()
    part = rows.with_suffix(f".{uuid.uuid4().hex}.npy")
    np.save(part, np.stack([data.ids, data.labels]))
    part.replace(rows)
    partial.replace(inputs)
