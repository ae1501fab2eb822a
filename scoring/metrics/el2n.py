"""Error norm early in training: how far the answer is from the label after a few epochs.

    el2n(x) = || f(x) - onehot(label) ||_2   at one early epoch,  f = softmax

Range [0, sqrt 2]; low = prototypical. Over several base runs, the mean; `spread` is the deviation.
No label: NaN, "unlabelled".

Source: Paul, Ganguli & Dziugaite, "Deep Learning on a Data Diet: Finding Important Examples Early
in Training", NeurIPS 2021, arXiv:2107.07075, section 2. The norm, not its square; several base runs
are averaged, as there (ten). We differ: nothing. Cost: one forward pass an example and base run.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from scoring.folds.dynamics import State, begin, finish, last, passes, update
from scoring.spec import Batch, MetricSpec, Signal


@dataclass(frozen=True, kw_only=True)
class Config:
    """When to look."""

    epoch: int = 3
    """From 1; the last that was kept where training was shorter."""

    def __post_init__(self) -> None:
        if self.epoch < 1:
            raise ValueError(f"epoch: expected 1 or more, got {self.epoch}")


def epochs(config: Config, kept: int) -> list[int]:
    """The one that is looked at."""
    return [min(config.epoch, kept)]


def error_norm(logits: Tensor, labels: Tensor) -> Tensor:
    """|| f(x) - onehot(label) ||_2 [N]."""
    answers = logits.softmax(dim=1)
    errors = answers.scatter_add(1, labels.unsqueeze(1), -torch.ones_like(answers[:, :1]))
    norms: Tensor = torch.linalg.vector_norm(errors, dim=1)
    return norms


def start(config: Config, batch: Batch, classes: int) -> State:
    """Begin with no checkpoint seen."""
    return begin(batch, error_norm, last)


METRIC = MetricSpec(
    name="el2n",
    summary="norm of the error of the probabilities, early in training",
    version=1,
    signal=Signal.CHECKPOINTS,
    config=Config,
    unit="L2 norm of probabilities",
    prototypical="low",
    source="Paul et al. 2021, section 2",
    passes=passes,
    start=start,
    update=update,
    finish=finish,
    epochs=epochs,
)
