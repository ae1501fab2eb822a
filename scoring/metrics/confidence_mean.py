"""Confidence in the label over all of training: easy examples are learned early and stay learned.

    confidence_mean(x) = mean_k f(x)_label   at epochs k = 1 ... K,  f = softmax

Range [0, 1]; high = prototypical. With several base runs, their mean, and `spread` is the standard
deviation. No label: NaN, "unlabelled".

Source: Swayamdipta et al., "Dataset Cartography: Mapping and Diagnosing Datasets with Training
Dynamics", EMNLP 2020, arXiv:2009.10795, section 2.1. We differ: probabilities are those of the
weights after each epoch, in eval mode; several runs are averaged. Cost: one forward pass per
example and checkpoint; memory O(K N) for the N examples of a batch.
"""

from scoring.folds.dynamics import LabelDynamics, label_probability, mean
from scoring.spec import FoldedMetric, Signal

METRIC = FoldedMetric(
    name="confidence_mean",
    summary="mean probability of the label over epochs",
    purpose="label errors",
    version=1,
    unit="probability",
    prototypical="high",
    source="Swayamdipta et al. 2020, section 2.1",
    signal=Signal.CHECKPOINTS,
    fold=LabelDynamics(label_probability, mean),
)
