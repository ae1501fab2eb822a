"""The vectors that place examples on a map: their pixels, or staged features."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from scoring.arrays import Ints
from scoring.data.images import ImageShape
from scoring.data.shard_parts import read_images
from scoring.data.shards import ShardRecord
from scoring.data.versions import DatasetVersion
from scoring.staged.features import read_features
from scoring.store.layout import features_path
from scoring.store.storage import Storage

Vector = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Vectors:
    """Reads the vectors of a split's examples."""

    storage: Storage
    version: DatasetVersion
    run: str = ""
    """The run with the layer that gives features; "" for pixels."""
    layer: str = ""
    """Its name, "" for pixels."""

    @property
    def dtype(self) -> npt.DTypeLike:
        """Type of the numbers of a vector."""
        return np.float32 if self.run else np.uint8

    def read(self, record: ShardRecord, ids: Ints) -> dict[int, Vector]:
        """Read some examples of a shard, by id; images that cannot be decoded are left out."""
        if not self.run:
            shape = self.version.shape
            assert isinstance(shape, ImageShape)  # texts have no pixels
            return read_images(self.storage, self.version.name, record, shape, ids)
        path = features_path(self.run, self.layer, record.content)
        staged = read_features(self.storage, path)
        rows = np.flatnonzero(np.isin(staged.ids, ids))
        return dict(zip(staged.ids[rows].tolist(), staged.features[rows], strict=True))
