"""A training split in memory: decoded once, shared by every run of a node."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scoring.data.shapes import Inputs


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """The decodable, labelled rows of a split, in id order."""

    inputs: Inputs
    """[N, H, W, D] uint8 pixels or [N, L] int16 tokens; may be a read-only view of shared memory
    or of a file."""
    labels: npt.NDArray[np.int64]
    """[N] int64 in [0, classes)."""
    classes: int

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W, D) of every image, (L,) of every text."""
        return self.inputs.shape[1:]

    def __len__(self) -> int:
        return len(self.labels)
