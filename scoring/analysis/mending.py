"""Mending wrong labels in the order of a score: how many are found, and what that is worth.

Yeh et al. 2018, arXiv:1811.09720, section 4.1 and Figure 2: labels of a binary task are flipped; a
person checks training examples in an order that something proposes, and mends the flipped ones
among them; then the classifier is trained again. Here that classifier is the last layer, brought to
rest on the features of the net that was trained with the wrong labels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from scoring.arrays import Floats, Ints
from scoring.representers.influence import Influence
from scoring.representers.layer_rows import LayerRows, OneHot
from scoring.representers.losses import SOFTMAX
from scoring.representers.solve import Objective, Point, stationary
from scoring.tables.findings import Finding

_TOLERANCE = 1e-6  # of a layer that is only asked for classes


@dataclass(frozen=True, kw_only=True)
class Mislabelled:
    """Training rows with wrong labels among them, and test rows."""

    train: LayerRows
    """Their labels are as given."""
    true: Ints
    """[N] what they should be."""
    test: LayerRows
    penalty: float
    """lambda of the last layer."""

    @property
    def classes(self) -> int:
        """C."""
        return self.train.outputs.shape[1]

    def at_rest(self, labels: Ints, start: Point | None = None) -> Point:
        """The last layer trained by some labels."""
        weights = None if start is None else start.weights
        return stationary(self.objective(labels), weights, _TOLERANCE)

    def objective(self, labels: Ints) -> Objective:
        """What the last layer minimises by some labels."""
        return Objective(
            features=self.train.features,
            targets=OneHot(labels, self.classes),
            loss=SOFTMAX,
            penalty=self.penalty,
        )

    def accuracy(self, layer: Point) -> float:
        """Share of test rows that a layer gets right."""
        outputs = torch.from_numpy(self.test.features[:]).double() @ layer.weights.T
        return float((outputs.argmax(dim=1).numpy() == self.test.labels).mean())


def suspicions(case: Mislabelled, seed: int) -> dict[str, Floats]:
    """What the last layer itself says of the training rows, [N] each, high = suspicious.

    `influence`: self-influence; `loss`: cross-entropy; `random`: the order of chance.
    """
    given = case.train.labels
    layer = case.at_rest(given)
    outputs = torch.from_numpy(case.train.features[:]).double() @ layer.weights.T
    loss = torch.nn.functional.cross_entropy(outputs, torch.from_numpy(given), reduction="none")
    return {
        "influence": Influence(case.objective(given), layer).on_themselves().numpy(),
        "loss": loss.numpy(),
        "random": np.random.default_rng(seed).random(len(given)),
    }


def curves(
    case: Mislabelled, orders: Mapping[str, Floats], inspected: Sequence[float]
) -> dict[tuple[str, float], tuple[float, float]]:
    """Share of the flips found, and test accuracy after they are mended.

    Args:
        case: the rows.
        orders: by name, how suspicious each row is, [N], NaN last.
        inspected: shares of the rows that are checked.

    Returns:
        (order, share) to (found, accuracy); the share 0 stands for what all begin with.
    """
    given, wrong = case.train.labels, case.train.labels != case.true
    start = case.at_rest(given)
    found = {(name, 0.0): (0.0, case.accuracy(start)) for name in orders}
    for name, suspicion in orders.items():
        order = np.argsort(-np.nan_to_num(suspicion, nan=-np.inf), kind="stable")
        layer = start
        for share in sorted(inspected):
            checked = order[: round(share * len(order))]
            labels = given.copy()
            labels[checked] = case.true[checked]
            layer = case.at_rest(labels, layer)
            hits = wrong[checked].sum() / max(wrong.sum(), 1)
            found[name, share] = float(hits), case.accuracy(layer)
    return found


def findings(
    draws: Sequence[Mapping[tuple[str, float], tuple[float, float]]], rows: int
) -> list[Finding]:
    """Means over draws of the flips.

    Returns:
        For each order and share inspected: `flips_found` in [0, 1] and `test_accuracy`.
    """
    return [
        Finding(
            subject=name,
            part=part_of(share),
            measure=measure,
            value=float(np.mean(values)),
            spread=float(np.std(values)),
            rows=rows,
        )
        for name, share in draws[0]
        for measure, values in zip(
            ("flips_found", "test_accuracy"),
            np.array([draw[name, share] for draw in draws]).T,
            strict=True,
        )
    ]


def part_of(share: float) -> str:
    """What a share inspected is called."""
    return f"{100 * share:g} %"
