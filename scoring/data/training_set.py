"""A training split in memory, decoded once and shared by all runs on a node."""

from dataclasses import dataclass, replace

import numpy as np

from scoring.arrays import Ints
from scoring.data.shapes import Inputs


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """The decodable, labelled rows of a split, in id order."""

    ids: Ints
    """[N] int64 example ids, ascending."""
    inputs: Inputs
    """[N, H, W, D] uint8 pixels or [N, L] int16 tokens; possibly a read-only view of shared memory
    or of a file."""
    labels: Ints
    """[N] int64 in [0, classes)."""
    classes: int
    chosen: Ints | None = None
    """[K] int64 rows to train on; None: all."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example: (H, W, D) of an image, (L,) of a text."""
        return self.inputs.shape[1:]

    def __len__(self) -> int:
        return len(self.labels)

    def only(self, ids: Ints, labels: Ints) -> "TrainingSet":
        """Return a set that trains on some rows only, with other labels; inputs are not copied.

        Args:
            ids: [K] int64 ids of the rows, each once.
            labels: [K] int64 in [0, classes).

        Raises:
            ValueError: an id is not in this set.
        """
        rows = np.minimum(np.searchsorted(self.ids, ids), len(self) - 1)
        if strangers := np.count_nonzero(self.ids[rows] != ids):
            raise ValueError(f"expected ids of training rows, got {strangers} others")
        changed = self.labels.copy()
        changed[rows] = labels
        return replace(self, labels=changed, chosen=rows)
