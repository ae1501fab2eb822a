"""Find the training rows that make up the outputs of test rows: the k strongest of each sign."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from scoring.arrays import Floats, Floats32, Ints
from scoring.representers.decomposition import LayerAtRest
from scoring.representers.layer_rows import LayerRows
from scoring.representers.matrix import Matrix, block_rows, blocks
from scoring.representers.strongest import Kernel, strongest
from scoring.store.scratch_entry import Entry, NewEntry

SIGNS = (1, -1)
Take = Callable[[int, Callable[[NewEntry], None]], Entry]
"""Given a size in bytes and a function that writes an entry, returns the entry."""


@dataclass(frozen=True, kw_only=True)
class Points:
    """P representer points, sorted by test row and output, excitatory ones first."""

    test: Ints
    """[P] position of the test row among those given."""
    output: Ints
    """[P] the class, or unit, that is explained."""
    sign: Ints
    """[P] 1 or -1."""
    rank: Ints
    """[P] 0 = strongest of its sign."""
    train_id: Ints
    train_label: Ints
    alpha: Floats
    similarity: Floats
    value: Floats
    """[P] alpha x similarity: the share of the output."""


class Explainer:
    """Explains outputs of a layer at rest by its training rows, whose alpha it keeps."""

    def __init__(
        self, rows: LayerRows, rest: LayerAtRest, targets: Matrix, take: Take | None = None
    ) -> None:
        """Compute alpha, reading the training rows twice.

        Args:
            rows: N training rows.
            rest: the layer at rest.
            targets: [N, C] targets that it was solved for.
            take: takes an entry of scratch space for alpha [C, N]; None: keep it in memory.
        """
        self._rows, self._kernel = rows, Kernel.from_features(rows.features)
        self._alpha = _alpha_by_output(rest, rows.features, targets, take)

    def points(self, features: Floats32, outputs: Ints, k: int) -> Points:
        """Return the k strongest points of each sign, or all if there are fewer.

        Args:
            features: [T, D] of the test rows.
            outputs: [T, m] outputs to explain for each.
            k: points of each sign.
        """
        parts = [
            self._of_output(features, np.flatnonzero((outputs == c).any(axis=1)), int(c), k, sign)
            for c in np.unique(outputs).tolist() or [0]  # without rows: empty columns
            for sign in SIGNS
        ]
        every = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in Points.__dataclass_fields__
        }
        order = np.lexsort((every["rank"], -every["sign"], every["output"], every["test"]))
        return Points(**{name: column[order] for name, column in every.items()})

    def _of_output(self, features: Floats32, tests: Ints, output: int, k: int, sign: int) -> Points:
        alpha = self._alpha(output)
        found = strongest(self._kernel, alpha, features[tests], k, sign)
        exists = found.rows >= 0
        rows, values = found.rows[exists], found.values[exists]
        count = len(rows)
        return Points(
            test=np.repeat(tests, exists.sum(axis=1)),
            output=np.full(count, output),
            sign=np.full(count, sign),
            rank=np.nonzero(exists)[1],
            train_id=self._rows.ids[rows],
            train_label=self._rows.labels[rows],
            alpha=alpha[rows],
            similarity=values / alpha[rows],
            value=values,
        )


def _alpha_by_output(
    rest: LayerAtRest, features: Matrix, targets: Matrix, take: Take | None
) -> Callable[[int], Floats]:
    """Return a function that gives alpha [N] for an output, from memory or from scratch space."""
    shape = len(rest.weights), features.shape[0]
    if take is None:
        alpha = np.empty(shape)
        _fill(alpha, rest, features, targets)
        return alpha.__getitem__
    size = 8 * shape[0] * shape[1]

    def write(new: NewEntry) -> None:
        with new.writing("alpha", size) as file:
            written = np.memmap(file, np.float64, "r+", shape=shape)
            _fill(written, rest, features, targets)
            written.flush()

    entry = take(size, write)
    # A new map for each output: pages read through a map count as used memory until it is closed.
    return lambda output: entry.array("alpha", np.float64, shape[1:])[output].copy()


def _fill(alpha: Floats, rest: LayerAtRest, features: Matrix, targets: Matrix) -> None:
    for block in blocks(features.shape[0], block_rows(features.shape[1])):
        rows, wanted = torch.from_numpy(features[block]), torch.from_numpy(targets[block])
        alpha[:, block] = rest.alpha(rows, wanted).T.numpy()
