"""Variance of gradients over checkpoints, the fold that the `vog` metrics share.

    S_k = the gradient at checkpoint k, [H, W];   mu = mean_k S_k
    VoG = mean over pixels of sqrt( (1/K) sum_k (S_k - mu)^2 )

Welford's recurrence takes one checkpoint after the other: two arrays of a batch's size are held,
whatever K is. Over several runs the value is the mean of their VoG, the spread its deviation.

Source: Agarwal, D'souza & Hooker, "Estimating Example Difficulty using Variance of Gradients",
CVPR 2022, arXiv:2008.11600, section 2. Their equation 3 prints the root over 1/K alone; their code
takes it over the mean square, and their published values agree with that.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from scoring.arrays import Floats, Ints
from scoring.folds.moments import Moments
from scoring.spec import Batch, Columns, InputGradient, Output, Passes

UNLABELLED = "unlabelled"
TOO_FEW = "too_few_checkpoints"


@dataclass(frozen=True, kw_only=True)
class Gradients:
    """What is known of one run's gradients of N examples after some checkpoints."""

    count: int = 0
    mean: Tensor = field(default_factory=lambda: torch.zeros(()))
    """[N, P]."""
    squares: Tensor = field(default_factory=lambda: torch.zeros(()))
    """[N, P]: sum of squared deviations from the mean."""

    def add(self, gradient: Tensor) -> "Gradients":
        """With one more checkpoint's, [N, P]."""
        count = self.count + 1
        deviation = gradient - self.mean
        mean = self.mean + deviation / count
        squares = torch.addcmul(self.squares, deviation, gradient - mean)
        return Gradients(count=count, mean=mean, squares=squares)

    def vog(self) -> Floats:
        """[N] float64."""
        deviation = (self.squares / self.count).sqrt()
        values: Floats = deviation.mean(dim=1, dtype=torch.float64).cpu().numpy()
        return values


@dataclass(frozen=True, kw_only=True)
class State:
    """A fold under way."""

    labels: Ints
    gradient: InputGradient
    run: Gradients = Gradients()
    at: int = 0
    """Which run that is."""
    runs: Moments
    """VoG of the runs before it."""
    fewest: int | None = None
    """Checkpoints of the shortest run before it."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Which checkpoints."""

    epochs: tuple[int, ...] = ()
    """Epochs to fold, from 1; none named: all that were kept. Three are enough."""


def chosen(config: Config, kept: int) -> list[int]:
    """Those of the epochs 1 ... kept that are folded."""
    return [epoch for epoch in range(1, kept + 1) if not config.epochs or epoch in config.epochs]


@dataclass(frozen=True)
class Begin:
    """Begins with no checkpoint seen: a metric's `start`."""

    gradient: InputGradient

    def __call__(self, config: object, batch: Batch, classes: int) -> State:
        """The state of N examples."""
        return State(labels=batch.labels, gradient=self.gradient, runs=Moments.of(len(batch.ids)))


def update(state: State, output: Output) -> State:
    """Fold one checkpoint's gradients."""
    assert output.checkpoint is not None
    if output.checkpoint.run != state.at:
        state = replace(_closed(state), at=output.checkpoint.run)
    return replace(state, run=state.run.add(output.gradients[state.gradient]))


def finish(state: State) -> Columns:
    """Mean and spread over runs [N] float64; NaN without a label or from single checkpoints."""
    state = _closed(state)
    unlabelled = (state.labels < 0) & state.gradient.endswith("label")
    status = np.where(unlabelled, UNLABELLED, "")
    if state.fewest is None or state.fewest < 2:
        status = np.where(status == "", TOO_FEW, status)
    missing = status != ""
    return Columns(
        value=np.where(missing, np.nan, state.runs.mean()),
        spread=np.where(missing, np.nan, state.runs.std()),
        status=status,
    )


def passes(config: object) -> Passes:
    """One forward and one backward pass of each checkpoint."""
    return Passes(forward=1, backward=1)


def _closed(state: State) -> State:
    """With the run under way among those that are over."""
    count = state.run.count
    if not count:
        return state
    fewest = count if state.fewest is None else min(count, state.fewest)
    return replace(state, runs=state.runs.add(state.run.vog()), run=Gradients(), fewest=fewest)
