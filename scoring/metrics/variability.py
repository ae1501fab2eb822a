"""Variability of the confidence in the label, over all of training: ambiguous examples waver.

    variability(x) = sd_k f(x)_label   at epochs k = 1 ... K,  f = softmax, population form

Range [0, 1/2]; low = prototypical. Over several base runs, the mean; `spread` is the deviation. No
label: NaN, "unlabelled". Hard examples that a net never gets right do not waver either; once label
noise is memorised, what is noisy has wavered most.

Source: Swayamdipta et al., "Dataset Cartography: Mapping and Diagnosing Datasets with Training
Dynamics", EMNLP 2020, arXiv:2009.10795, section 2.1. We differ: probabilities are those of the
weights after each epoch, in eval mode; several runs are averaged. Cost: one forward pass an example
and checkpoint; memory O(K N) for the N examples of a batch.
"""

from dataclasses import dataclass

from scoring.arrays import Floats
from scoring.folds.dynamics import State, begin, finish, label_probability, passes, update
from scoring.spec import Batch, MetricSpec, Signal


@dataclass(frozen=True, kw_only=True)
class Config:
    """Nothing to choose."""


def of_run(seen: Floats) -> Floats:
    """Deviation over checkpoints [K, N], [N]."""
    deviation: Floats = seen.std(axis=0)
    return deviation


def start(config: Config, batch: Batch, classes: int) -> State:
    """Begin with no checkpoint seen."""
    return begin(batch, label_probability, of_run)


METRIC = MetricSpec(
    name="variability",
    summary="standard deviation over epochs of the probability of the label",
    version=1,
    signal=Signal.CHECKPOINTS,
    config=Config,
    unit="probability",
    prototypical="low",
    source="Swayamdipta et al. 2020, section 2.1",
    passes=passes,
    start=start,
    update=update,
    finish=finish,
)
