"""Error norm early in training: how far the prediction is from the label after a few epochs.

    el2n(x) = || f(x) - onehot(label) ||_2   at one early epoch,  f = softmax

Range [0, sqrt 2]; low = prototypical. With several base runs, their mean, and `spread` is the
standard deviation. No label: NaN, "unlabelled".

Source: Paul, Ganguli & Dziugaite, "Deep Learning on a Data Diet: Finding Important Examples Early
in Training", NeurIPS 2021, arXiv:2107.07075, section 2. The norm, not its square; like the paper
(ten runs), we average several base runs. We differ: nothing. Cost: one forward pass per example and
base run.
"""

from dataclasses import dataclass

from scoring.folds.dynamics import LabelDynamics, error_norm, last
from scoring.spec import FoldedMetric, Signal


@dataclass(frozen=True, kw_only=True)
class Config:
    """When to measure the error."""

    epoch: int = 3
    """From 1; if training was shorter, the last epoch that was kept."""

    def __post_init__(self) -> None:
        if self.epoch < 1:
            raise ValueError(f"epoch: expected 1 or more, got {self.epoch}")


def epochs(config: Config, kept: int) -> list[int]:
    """Return the one epoch to fold."""
    return [min(config.epoch, kept)]


METRIC = FoldedMetric(
    name="el2n",
    summary="norm of the prediction's error, early in training",
    purpose="label errors",
    version=1,
    unit="L2 norm of probabilities",
    prototypical="low",
    source="Paul et al. 2021, section 2",
    config=Config,
    signal=Signal.CHECKPOINTS,
    fold=LabelDynamics(error_norm, last),
    epochs=epochs,
)
