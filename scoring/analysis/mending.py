"""Correct wrong labels in the order of a score: how many are found, and what that is worth.

Yeh et al. 2018, arXiv:1811.09720, section 4.1 and Figure 2: labels of a binary task are flipped; a
person checks training examples in the order of some score and corrects the flipped ones; then the
classifier is trained again. Here the classifier is the last layer, brought to rest on the features
of the net that was trained with the wrong labels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from scoring.arrays import Floats, Ints
from scoring.representers.influence import Influence
from scoring.representers.layer_rows import LayerRows, OneHot
from scoring.representers.losses import SOFTMAX
from scoring.representers.solve import Iterate, Objective, minimise
from scoring.tables.findings import Finding

_TOLERANCE = 1e-6  # enough for a layer that only has to predict classes
Curves = Mapping[tuple[str, float], tuple[float, float]]
"""(order, share inspected) to (share of the flips found, test accuracy)."""


@dataclass(frozen=True, kw_only=True)
class MislabelledRows:
    """Training rows, some of them with wrong labels, and test rows."""

    train: LayerRows
    """N rows with the labels as given."""
    true: Ints
    """[N] correct labels."""
    test: LayerRows
    penalty: float
    """lambda of the last layer."""

    @property
    def classes(self) -> int:
        """C."""
        return self.train.outputs.shape[1]

    def fit(self, labels: Ints, start: Iterate | None = None) -> Iterate:
        """Bring the last layer to rest on training labels [N], starting from an earlier solution.

        Args:
            labels: [N].
            start: where to start; None: at zero.
        """
        weights = None if start is None else start.weights
        return minimise(self.objective(labels), weights, _TOLERANCE)

    def objective(self, labels: Ints) -> Objective:
        """Return what the last layer minimises for training labels [N]."""
        return Objective(
            features=self.train.features,
            targets=OneHot(labels, self.classes),
            loss=SOFTMAX,
            penalty=self.penalty,
        )

    def accuracy(self, layer: Iterate) -> float:
        """Return the share of test rows that a layer gets right."""
        outputs = torch.from_numpy(self.test.features[:]).double() @ layer.weights.T
        return float((outputs.argmax(dim=1).numpy() == self.test.labels).mean())


def suspicions(rows: MislabelledRows, seed: int) -> dict[str, Floats]:
    """Score how suspicious the last layer finds each training row, [N] each, high = suspicious.

    Returns:
        `influence`: self-influence; `loss`: cross-entropy; `random`: a random order.
    """
    given = rows.train.labels
    layer = rows.fit(given)
    outputs = torch.from_numpy(rows.train.features[:]).double() @ layer.weights.T
    loss = torch.nn.functional.cross_entropy(outputs, torch.from_numpy(given), reduction="none")
    return {
        "influence": Influence(rows.objective(given), layer).self_influence().numpy(),
        "loss": loss.numpy(),
        "random": np.random.default_rng(seed).random(len(given)),
    }


def curves(
    rows: MislabelledRows, orders: Mapping[str, Floats], inspected: Sequence[float]
) -> Curves:
    """Correct labels in several orders, and measure the share found and the test accuracy.

    Args:
        rows: training and test rows.
        orders: name to how suspicious each row is, [N]; the highest is checked first, NaN last.
        inspected: shares of the rows that are checked.

    Returns:
        A value for each order and share, and for share 0: before any label is corrected.
    """
    given, wrong = rows.train.labels, rows.train.labels != rows.true
    start = rows.fit(given)
    found = {(name, 0.0): (0.0, rows.accuracy(start)) for name in orders}
    for name, suspicion in orders.items():
        order = np.argsort(-np.nan_to_num(suspicion, nan=-np.inf), kind="stable")
        layer = start
        for share in sorted(inspected):
            checked = order[: round(share * len(order))]
            labels = given.copy()
            labels[checked] = rows.true[checked]
            layer = rows.fit(labels, layer)
            hits = wrong[checked].sum() / max(wrong.sum(), 1)
            found[name, share] = float(hits), rows.accuracy(layer)
    return found


def findings(draws: Sequence[Curves], rows: int) -> list[Finding]:
    """Report means over draws of the flips.

    Args:
        draws: the curves of each draw.
        rows: N, the training rows.

    Returns:
        `flips_found` and `test_accuracy` in [0, 1] for each order and share inspected.
    """
    return [
        Finding(
            subject=name,
            part=part_name(share),
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


def part_name(share: float) -> str:
    """Return the part under which a share inspected is reported."""
    return f"{100 * share:g} %"
