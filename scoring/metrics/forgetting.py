"""Forgetting: how often training loses an example that it had right.

    forgetting(x) = #{ k : argmax f_k(x) = label, argmax f_{k+1}(x) != label }
                    K + 1 if it is never right

f_k = the net after epoch k = 1 ... K. Range [0, K + 1], in events; low = prototypical. Over several
base runs, the mean; `spread` is the deviation. No label: NaN, "unlabelled".

Source: Toneva et al., "An Empirical Study of Example Forgetting during Deep Neural Network
Learning", ICLR 2019, arXiv:1812.05159, section 3. We differ: an example is looked at after each
epoch, not each time that it is in a batch; several runs are averaged. Cost: one forward pass an
example and checkpoint; memory O(K N) for the N examples of a batch.
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
    """Falls from right to wrong over K checkpoints [K, N], [N]."""
    falls = (seen[:-1] > seen[1:]).sum(axis=0)
    forgotten: Floats = np.where(seen.any(axis=0), falls, len(seen) + 1).astype(np.float64)
    return forgotten


def start(config: Config, batch: Batch, classes: int) -> State:
    """Begin with no checkpoint seen."""
    return begin(batch, right, of_run)


METRIC = MetricSpec(
    name="forgetting",
    summary="times that training loses an example it had right",
    version=1,
    signal=Signal.CHECKPOINTS,
    config=Config,
    unit="events",
    prototypical="low",
    source="Toneva et al. 2019, section 3",
    passes=passes,
    start=start,
    update=update,
    finish=finish,
)
