"""Forgetting: how often training loses an example that it had right.

    forgetting(x) = #{ k : argmax f_k(x) = label, argmax f_{k+1}(x) != label }
                    K + 1 if it is never right

f_k = the net after epoch k = 1 ... K. Range [0, K + 1], in events; low = prototypical. With several
base runs, their mean, and `spread` is the standard deviation. No label: NaN, "unlabelled".

Source: Toneva et al., "An Empirical Study of Example Forgetting during Deep Neural Network
Learning", ICLR 2019, arXiv:1812.05159, section 3. We differ: an example is tested after each epoch,
not each time it is in a batch; several runs are averaged. Cost: one forward pass per example and
checkpoint; memory O(K N) for the N examples of a batch.
"""

import numpy as np

from scoring.arrays import Floats
from scoring.folds.dynamics import LabelDynamics, right
from scoring.spec import FoldedMetric, Signal


def times_forgotten(seen: Floats) -> Floats:
    """Count the changes from right to wrong over K checkpoints [K, N]; K + 1 if never right."""
    falls = (seen[:-1] > seen[1:]).sum(axis=0)
    forgotten: Floats = np.where(seen.any(axis=0), falls, len(seen) + 1).astype(np.float64)
    return forgotten


METRIC = FoldedMetric(
    name="forgetting",
    summary="how often training loses an example that it had right",
    purpose="hard",
    version=1,
    unit="events",
    prototypical="low",
    source="Toneva et al. 2019, section 3",
    signal=Signal.CHECKPOINTS,
    fold=LabelDynamics(right, times_forgotten),
)
