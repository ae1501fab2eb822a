"""Features and outputs of a layer for the rows of a split, read from its staged shards."""

import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain

import numpy as np
import torch

from scoring.arrays import Floats32, Ints
from scoring.data.versions import DatasetVersion
from scoring.representers.losses import SuitableLoss
from scoring.representers.matrix import FileMatrix, Matrix
from scoring.staged.features import StagedFeatures, read_features
from scoring.store.keys import digest
from scoring.store.layout import features_path
from scoring.store.parallel import in_parallel
from scoring.store.scratch import Scratch
from scoring.store.scratch_entry import Entry, NewEntry
from scoring.store.storage import Storage

_SHARDS_AT_ONCE = 4
_FORMAT = 1  # of the files; goes into the key
_ROW_BYTES = 16  # an id and a label


@dataclass(frozen=True, kw_only=True)
class LayerRows:
    """N rows as a layer sees them."""

    ids: Ints
    """[N] example ids."""
    labels: Ints
    """[N] class index, -1 where unknown."""
    features: Matrix
    """[N, D] float32."""
    outputs: Matrix
    """[N, C] float32 outputs of the layer as it was trained."""


@dataclass(frozen=True)
class Activated:
    """Targets [N, C]: the activations of the layer as it was trained."""

    outputs: Matrix
    loss: SuitableLoss

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C)."""
        return self.outputs.shape

    def __getitem__(self, rows: slice | Ints) -> Floats32:
        """Return some rows, [n, C]."""
        active: Floats32 = self.loss.activation(torch.from_numpy(self.outputs[rows])).numpy()
        return active


@dataclass(frozen=True)
class OneHot:
    """Targets [N, C]: the labels as one-hot rows."""

    labels: Ints
    classes: int

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C)."""
        return len(self.labels), self.classes

    def __getitem__(self, rows: slice | Ints) -> Floats32:
        """Return some rows, [n, C]."""
        labels = self.labels[rows]
        hot = np.zeros((len(labels), self.classes), np.float32)
        hot[np.arange(len(labels)), labels] = 1
        return hot


def gather_rows(
    storage: Storage, run: str, layer: str, version: DatasetVersion, memory: int, scratch: str = ""
) -> LayerRows:
    """Read the labelled rows of a split from its staged features.

    Args:
        storage: the store.
        run: the run whose layer it is.
        layer: its name, as the features were staged.
        version: the split.
        memory: most bytes to hold in memory; more rows go to scratch space.
        scratch: the folder that --scratch names.

    Raises:
        Outage: scratch space has no room for them.
    """
    parts = staged_rows(storage, run, layer, [shard.content for shard in version.shards])
    first = next(parts)
    width = first.features.shape[1] + first.outputs.shape[1]
    every = labelled(chain([first], parts))
    if 4 * width * version.rows <= memory:
        return in_memory(every)
    key = digest([run, layer, version.version, _FORMAT])
    size = version.rows * (4 * width + _ROW_BYTES)
    return on_disk(Scratch(scratch).take("features", key, size, partial(_write, every)))


def staged_rows(
    storage: Storage, run: str, layer: str, shards: Iterable[str]
) -> Iterator[StagedFeatures]:
    """Yield the staged features of shards, given by content hash, in order; prefetch a few."""
    paths = (features_path(run, layer, content) for content in shards)
    return in_parallel(partial(read_features, storage), paths, _SHARDS_AT_ONCE)


def labelled(parts: Iterable[StagedFeatures]) -> Iterator[StagedFeatures]:
    """Drop the rows without a label."""
    for part in parts:
        known = part.labels >= 0
        yield StagedFeatures(
            ids=part.ids[known],
            labels=part.labels[known],
            features=part.features[known],
            outputs=part.outputs[known],
        )


def in_memory(parts: Iterable[StagedFeatures]) -> LayerRows:
    """Hold all rows in memory."""
    every = list(parts)
    return LayerRows(
        ids=np.concatenate([part.ids for part in every]),
        labels=np.concatenate([part.labels for part in every]),
        features=np.concatenate([part.features for part in every]),
        outputs=np.concatenate([part.outputs for part in every]),
    )


def on_disk(entry: Entry) -> LayerRows:
    """Leave rows in the files that hold them; only ids and labels are in memory."""
    ids, labels = (entry.array(name, np.int64).copy() for name in ("ids", "labels"))
    features, outputs = (_matrix(entry.file(name), len(ids)) for name in ("features", "outputs"))
    return LayerRows(ids=ids, labels=labels, features=features, outputs=outputs)


def _write(parts: Iterable[StagedFeatures], entry: NewEntry) -> None:
    ids, labels = [], []
    with entry.writing("features") as features, entry.writing("outputs") as outputs:
        for part in parts:
            features.write(np.ascontiguousarray(part.features).data)
            outputs.write(np.ascontiguousarray(part.outputs).data)
            ids.append(part.ids)
            labels.append(part.labels)
    entry.write("ids", np.concatenate(ids))
    entry.write("labels", np.concatenate(labels))


def _matrix(file: io.FileIO, rows: int) -> FileMatrix:
    size = os.fstat(file.fileno()).st_size
    return FileMatrix(file=file, shape=(rows, size // (4 * max(rows, 1))))
