"""Variability of the confidence in the label over all of training: ambiguous examples waver.

    variability(x) = sd_k f(x)_label   at epochs k = 1 ... K,  f = softmax, population form

Range [0, 1/2]; low = prototypical. With several base runs, their mean, and `spread` is the standard
deviation. No label: NaN, "unlabelled". Hard examples that a net never gets right do not waver
either, and once label noise is memorised, noisy examples are those that wavered most.

Source: Swayamdipta et al., "Dataset Cartography: Mapping and Diagnosing Datasets with Training
Dynamics", EMNLP 2020, arXiv:2009.10795, section 2.1. We differ: probabilities are those of the
weights after each epoch, in eval mode; several runs are averaged. Cost: one forward pass per
example and checkpoint; memory O(K N) for the N examples of a batch.
"""

from scoring.arrays import Floats
from scoring.folds.dynamics import LabelDynamics, label_probability
from scoring.spec import FoldedMetric, Signal


def deviation(seen: Floats) -> Floats:
    """Return the standard deviation over the checkpoints of [K, N]."""
    over_checkpoints: Floats = seen.std(axis=0)
    return over_checkpoints


METRIC = FoldedMetric(
    name="variability",
    summary="standard deviation of the label's probability over epochs",
    purpose="hard",
    version=1,
    unit="probability",
    prototypical="low",
    source="Swayamdipta et al. 2020, section 2.1",
    signal=Signal.CHECKPOINTS,
    fold=LabelDynamics(label_probability, deviation),
)
