"""Confidence in the label: the probability that independently trained models give the label.

    label_conf(x) = (1/M) sum_i f_i(x)_label                      f_i = softmax of model i

Range [0, 1]; high = prototypical. `spread` is the population standard deviation over models. No
label: NaN, "unlabelled". Unlike `conf` it sees the label: confident models that disagree with it
point to a wrong label.

Source: the label-aware form of `conf` of Carlini, Erlingsson & Papernot, "Prototypical Examples in
Deep Learning: Metrics, Characteristics, and Utility" (2019 submission; arXiv:1910.13427), section
2.1. Cost: M forward passes per example; memory O(N).
"""

from scoring.folds.dynamics import LabelDynamics, label_probability, last
from scoring.spec import FoldedMetric, Signal

METRIC = FoldedMetric(
    name="label_conf",
    summary="mean probability of the label over independently trained models",
    purpose="label errors",
    version=1,
    unit="probability",
    prototypical="high",
    source="Carlini et al. 2019, section 2.1",
    signal=Signal.ENSEMBLE,
    fold=LabelDynamics(label_probability, last),
)
