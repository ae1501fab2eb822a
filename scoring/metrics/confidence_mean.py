"""Confidence in the label, over all of training: easy examples are believed early and stay so.

    confidence_mean(x) = mean_k f(x)_label   at epochs k = 1 ... K,  f = softmax

Range [0, 1]; high = prototypical. Over several base runs, the mean; `spread` is the deviation. No
label: NaN, "unlabelled".

Source: Swayamdipta et al., "Dataset Cartography: Mapping and Diagnosing Datasets with Training
Dynamics", EMNLP 2020, arXiv:2009.10795, section 2.1. We differ: probabilities are those of the
weights after each epoch, in eval mode; several runs are averaged. Cost: one forward pass an example
and checkpoint; memory O(K N) for the N examples of a batch.
"""

from dataclasses import dataclass

from scoring.folds.dynamics import State, begin, finish, label_probability, mean, passes, update
from scoring.spec import Batch, MetricSpec, Signal


@dataclass(frozen=True, kw_only=True)
class Config:
    """Nothing to choose."""


def start(config: Config, batch: Batch, classes: int) -> State:
    """Begin with no checkpoint seen."""
    return begin(batch, label_probability, mean)


METRIC = MetricSpec(
    name="confidence_mean",
    summary="mean over epochs of the probability of the label",
    version=1,
    signal=Signal.CHECKPOINTS,
    config=Config,
    unit="probability",
    prototypical="high",
    source="Swayamdipta et al. 2020, section 2.1",
    passes=passes,
    start=start,
    update=update,
    finish=finish,
)
