"""Learning order: the epoch from which an example stays right.

    learning_order(x) = min { k : argmax f_j(x) = label for all j >= k },   K + 1 if there is none

f_k = the net after epoch k = 1 ... K. Range [1, K + 1], in epochs; low = prototypical. With several
base runs, their mean, and `spread` is the standard deviation. No label: NaN, "unlabelled".

Source: Carlini, Erlingsson & Papernot, "Prototypical Examples in Deep Learning: Metrics,
Characteristics, and Utility" (2019 submission; arXiv:1910.13427), section 2, where it is one of two
straw men: many examples tie, and what is learned first is not what is typical. We differ: several
runs are averaged. Cost: one forward pass per example and checkpoint; memory O(K N) for the N
examples of a batch.
"""

import numpy as np

from scoring.arrays import Floats
from scoring.folds.dynamics import LabelDynamics, right
from scoring.spec import FoldedMetric, Signal


def first_to_stay_right(seen: Floats) -> Floats:
    """Return the first of K checkpoints [K, N] from which all are right; K + 1 if there is none."""
    stays = np.logical_and.accumulate(seen[::-1] > 0, axis=0)
    learned: Floats = 1 + len(seen) - stays.sum(axis=0, dtype=np.float64)
    return learned


METRIC = FoldedMetric(
    name="learning_order",
    summary="epoch from which the example stays right",
    purpose="hard",
    version=1,
    unit="epochs",
    prototypical="low",
    source="Carlini et al. 2019, section 2",
    signal=Signal.CHECKPOINTS,
    fold=LabelDynamics(right, first_to_stay_right),
)
