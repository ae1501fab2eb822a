"""Confidence in the label: what independently trained models give the label.

    label_conf(x) = (1/M) sum_i f_i(x)_label                      f_i = softmax of model i

Range [0, 1]; high = prototypical. `spread` is the population standard deviation over models. No
label: NaN, "unlabelled". Unlike `conf` it sees the label: confident models that disagree with it
point to a wrong label.

Source: the label-aware form of `conf` of Carlini, Erlingsson & Papernot, "Prototypical Examples in
Deep Learning: Metrics, Characteristics, and Utility" (2019 submission; arXiv:1910.13427), section
2.1. Cost: M forward passes an example; memory O(N).
"""

from dataclasses import dataclass

from scoring.folds.dynamics import State, begin, finish, label_probability, last, passes, update
from scoring.spec import Batch, MetricSpec, Signal


@dataclass(frozen=True, kw_only=True)
class Config:
    """Nothing to choose."""


def start(config: Config, batch: Batch, classes: int) -> State:
    """Begin with no model seen."""
    return begin(batch, label_probability, last)


METRIC = MetricSpec(
    name="label_conf",
    summary="mean probability of the label over independently trained models",
    version=1,
    signal=Signal.ENSEMBLE,
    config=Config,
    unit="probability",
    prototypical="high",
    source="Carlini et al. 2019, section 2.1",
    passes=passes,
    start=start,
    update=update,
    finish=finish,
)
