"""A training split in memory: decoded once, shared by every run of a node."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """The decodable, labelled rows of a split, in id order."""

    images: npt.NDArray[np.uint8]
    """[N, H, W, D] uint8; may be a read-only view of shared memory or of a file."""
    labels: npt.NDArray[np.int64]
    """[N] int64 in [0, classes)."""
    classes: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, D) of every image."""
        height, width, channels = self.images.shape[1:]
        return height, width, channels

    def __len__(self) -> int:
        return len(self.labels)
