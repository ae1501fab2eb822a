"""Learning order: the epoch from which an example stays right.

    learning_order(x) = min { k : argmax f_j(x) = label for all j >= k },   K + 1 if there is none

f_k = the net after epoch k = 1 ... K. Range [1, K + 1], in epochs; low = prototypical. Over several
base runs, the mean; `spread` is the deviation. No label: NaN, "unlabelled".

Source: Carlini, Erlingsson & Papernot, "Prototypical Examples in Deep Learning: Metrics,
Characteristics, and Utility" (2019 submission; arXiv:1910.13427), section 2, where it is one of two
straw men: many examples tie, and what is learned first is not what is typical. We differ: several
runs are averaged. Cost: one forward pass an example and checkpoint; memory O(K N) for the N
examples of a batch.
"""

from dataclasses import dataclass

import numpy as np

from scoring.arrays import Floats
from scoring.folds.dynamics import State, begin, finish, passes, right, update
from scoring.spec import Batch, MetricSpec, Signal


@dataclass(frozen=True, kw_only=True)
class Config:
    """Nothing to choose."""


def of_run(seen: Floats) -> Floats:
    """First of K checkpoints [K, N] from which all are right, [N]."""
    stays = np.logical_and.accumulate(seen[::-1] > 0, axis=0)
    learned: Floats = 1 + len(seen) - stays.sum(axis=0, dtype=np.float64)
    return learned


def start(config: Config, batch: Batch, classes: int) -> State:
    """Begin with no checkpoint seen."""
    return begin(batch, right, of_run)


METRIC = MetricSpec(
    name="learning_order",
    summary="epoch from which the example stays right",
    version=1,
    signal=Signal.CHECKPOINTS,
    config=Config,
    unit="epochs",
    prototypical="low",
    source="Carlini et al. 2019, section 2",
    passes=passes,
    start=start,
    update=update,
    finish=finish,
)
