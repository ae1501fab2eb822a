"""A training split on disk: decoded once on a machine, then mapped by all of its runs."""

from functools import partial

import numpy as np

from scoring.data.training_set import TrainingSet
from scoring.data.versions import DatasetVersion, load_training_set
from scoring.store.keys import digest
from scoring.store.scratch import Scratch
from scoring.store.scratch_entry import NewEntry
from scoring.store.storage import Storage

_FORMAT = 1  # of the files; goes into the key
_ROW_BYTES = 16  # an id and a label


def map_training_set(storage: Storage, version: DatasetVersion, scratch: Scratch) -> TrainingSet:
    """Return the trainable rows of a split, whose inputs are a map of a file in scratch space.

    The file stays as long as the inputs do. The arrays equal those of `load_training_set`.

    Raises:
        Outage: scratch space has no room for them.
    """
    if not version.rows:
        return load_training_set(storage, version)
    size = version.rows * (version.shape.nbytes + _ROW_BYTES)
    make = partial(_decode, storage, version)
    entry = scratch.take("decoded", digest([version.version, _FORMAT]), size, make)
    ids, labels = (entry.array(name, np.int64).copy() for name in ("ids", "labels"))
    return TrainingSet(
        ids=ids,
        inputs=entry.array("inputs", version.shape.dtype, version.shape.dims)[: len(ids)],
        labels=labels,
        classes=len(version.classes),
    )


def _decode(storage: Storage, version: DatasetVersion, entry: NewEntry) -> None:
    shape = (version.rows, *version.shape.dims)
    with entry.writing("inputs", version.rows * version.shape.nbytes) as file:
        inputs = np.memmap(file, version.shape.dtype, "r+", shape=shape)
        data = load_training_set(storage, version, into=inputs)
        inputs.flush()
    entry.write("ids", data.ids)
    entry.write("labels", data.labels)
