"""Variance of gradients over checkpoints, the fold of the `vog` metrics.

    S_k = the gradient at checkpoint k, [H, W];   mu = mean_k S_k
    VoG = mean over pixels of sqrt( (1/K) sum_k (S_k - mu)^2 )

Checkpoints are folded one by one, so that memory is two arrays of a batch's size, whatever K is.
With several runs the value is the mean of their VoG and `spread` its standard deviation.

Source: Agarwal, D'souza & Hooker, "Estimating Example Difficulty using Variance of Gradients",
CVPR 2022, arXiv:2008.11600, section 2. Their equation 3 prints the root over 1/K alone; their code
takes it over the mean square, and their published values agree with that alone.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from scoring.arrays import Floats
from scoring.folds.moments import Moments
from scoring.folds.runs import Runs, mean_over_runs
from scoring.spec import Batch, Columns, Fold, InputGradient, Output
from scoring.statuses import TOO_FEW_CHECKPOINTS, UNLABELLED


@dataclass(frozen=True, kw_only=True)
class ChosenEpochs:
    """Which checkpoints."""

    epochs: tuple[int, ...] = ()
    """Epochs to fold, from 1; default: all that were kept. Three are enough."""


def chosen_epochs(config: ChosenEpochs, kept: int) -> list[int]:
    """Return the epochs out of 1 ... kept that `config` chooses."""
    return [epoch for epoch in range(1, kept + 1) if not config.epochs or epoch in config.epochs]


@dataclass(frozen=True, kw_only=True)
class StageLength:
    """How many checkpoints."""

    count: int = 3
    """Number of epochs to fold, 2 or more."""

    def __post_init__(self) -> None:
        if self.count < 2:
            raise ValueError(f"count: expected 2 or more checkpoints, got {self.count}")


@dataclass(frozen=True)
class _Gradients:
    """The gradients of a run's checkpoints so far, [N, P] each."""

    moments: Moments[Tensor] | None = None

    @property
    def checkpoints(self) -> int:
        return self.moments.count if self.moments else 0

    def add(self, gradient: Tensor) -> "_Gradients":
        moments = self.moments or Moments.of(torch.zeros_like(gradient))
        return _Gradients(moments.add(gradient))

    def value(self) -> Floats:
        assert self.moments is not None
        deviation = self.moments.variance().sqrt()
        vog: Floats = deviation.mean(dim=1, dtype=torch.float64).cpu().numpy()
        return vog


@dataclass(frozen=True)
class GradientVariance(Fold[Runs[Tensor]]):
    """Folds the input gradients of checkpoints."""

    of: InputGradient

    @property
    def gradient(self) -> InputGradient:
        """The input gradient that it folds."""
        return self.of

    def start(self, config: object, batch: Batch, classes: int) -> Runs[Tensor]:
        """Return no runs of N examples."""
        return Runs.of(batch.labels, _Gradients())

    def update(self, state: Runs[Tensor], output: Output) -> Runs[Tensor]:
        """Add one checkpoint."""
        return state.add(output, output.gradients[self.of])

    def finish(self, state: Runs[Tensor]) -> Columns:
        """Return mean and spread over runs, [N] float64 each.

        NaN without a label, where the gradient is the label's, and if a run has one checkpoint.
        """
        runs = state.closed()
        unlabelled = (runs.labels < 0) & self.of.endswith("label")
        status = np.where(unlabelled, UNLABELLED, "")
        if runs.shortest is not None and runs.shortest < 2:
            status = np.where(status == "", TOO_FEW_CHECKPOINTS, status)
        return mean_over_runs(runs.values, status)
