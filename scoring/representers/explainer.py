"""Which training rows make up the outputs of test rows: the k strongest of each sign."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from scoring.arrays import Floats, Floats32, Ints
from scoring.representers.decomposition import StationaryLayer
from scoring.representers.layer_rows import LayerRows
from scoring.representers.matrix import Matrix, block_rows, blocks
from scoring.representers.strongest import Kernel, strongest

SIGNS = (1, -1)


@dataclass(frozen=True, kw_only=True)
class Points:
    """Representer points, one a row: P of them, by test row and class, excitatory ones first."""

    test: Ints
    """[P] position of the test row among those asked for."""
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
    """Knows the training rows of a layer at rest, and alpha of them all."""

    def __init__(
        self, rows: LayerRows, rest: StationaryLayer, targets: Matrix, file: Path | None = None
    ) -> None:
        """Read the training rows twice.

        Args:
            rows: N training rows.
            rest: the layer.
            targets: [N, C], which it was brought to rest with.
            file: where alpha [C, N] lies, and is written unless it is there; None: in memory.
        """
        self._rows, self._kernel = rows, Kernel.of(rows.features)
        self._alpha = _columns(rest, rows.features, targets, file)

    def points(self, features: Floats32, outputs: Ints, k: int) -> Points:
        """The k strongest of each sign, of some outputs of some test rows.

        Args:
            features: [T, D] float32.
            outputs: [T, m] which outputs of each.
            k: how many of each sign, where there are as many.
        """
        parts = [
            self._of_output(features, np.flatnonzero((outputs == c).any(axis=1)), int(c), k, sign)
            for c in np.unique(outputs)
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
        there = found.rows >= 0
        rows, values = found.rows[there], found.values[there]
        count = len(rows)
        return Points(
            test=np.repeat(tests, there.sum(axis=1)),
            output=np.full(count, output),
            sign=np.full(count, sign),
            rank=np.nonzero(there)[1],
            train_id=self._rows.ids[rows],
            train_label=self._rows.labels[rows],
            alpha=alpha[rows],
            similarity=values / alpha[rows],
            value=values,
        )


def _columns(
    rest: StationaryLayer, features: Matrix, targets: Matrix, file: Path | None
) -> Callable[[int], Floats]:
    """Gives alpha [N] float64 of an output, from memory or from a file."""
    shape = len(rest.weights), features.shape[0]
    if file is None:
        held = np.empty(shape)
        _fill(held, rest, features, targets)
        return held.__getitem__
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        aside = file.with_name(f"{file.name}.{uuid.uuid4().hex}")
        written = np.lib.format.open_memmap(aside, "w+", np.float64, shape)
        _fill(written, rest, features, targets)
        written.flush()
        aside.replace(file)
    # Mapped anew for each output: pages that were read count as held while their map lives.
    return lambda output: np.array(np.load(file, mmap_mode="r")[output])


def _fill(alpha: Floats, rest: StationaryLayer, features: Matrix, targets: Matrix) -> None:
    for block in blocks(features.shape[0], block_rows(features.shape[1])):
        rows, wanted = torch.from_numpy(features[block]), torch.from_numpy(targets[block])
        alpha[:, block] = rest.alpha(rows, wanted).T.numpy()
