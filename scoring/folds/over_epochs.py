"""Means over the epochs of a run, which it added up while it trained (its tally).

The tally lacks examples that came after the training, that the run knows by another label, or that
are of the other split. Runs of earlier versions have no tally, and neither have imported ones.
There the finished net stands for all epochs: some number is better than none.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from scoring.arrays import Floats, Floats32, Ints
from scoring.folds.dynamics import OfCheckpoint
from scoring.folds.moments import Moments
from scoring.folds.runs import mean_over_runs
from scoring.spec import Batch, Columns, Fold, Output
from scoring.statuses import UNLABELLED
from scoring.tally import Tally

OverEpochs = Callable[[Tally], Floats32]
"""Returns a column of a tally, [N]."""


def mean_margin(tally: Tally) -> Floats32:
    """Return the margin, averaged over epochs."""
    return tally.margin


def mean_probability(tally: Tally) -> Floats32:
    """Return the label's probability, averaged over epochs."""
    return tally.probability


def of_label(
    output: Output, labels: Ints, of_run: OfCheckpoint, over_epochs: OverEpochs | None = None
) -> Floats:
    """Return what a run makes of each example's label, [N] float64.

    Args:
        output: of the run.
        labels: [N], those below 0 stand for class 0.
        of_run: says it from the logits of the finished net.
        over_epochs: says it from the tally, where the run has one of the example; None: nowhere.
    """
    known = torch.from_numpy(labels).to(output.logits.device).clamp(min=0)
    value: Floats = of_run(output.logits.double(), known).double().cpu().numpy()
    if over_epochs is None or output.tally is None:
        return value
    mean = over_epochs(output.tally).astype(np.float64)
    return np.where(np.isfinite(mean), mean, value)


@dataclass(frozen=True, kw_only=True)
class Members:
    """The runs so far."""

    labels: Ints
    """[N], -1 where unknown."""
    values: Moments[Floats]


@dataclass(frozen=True)
class MeanOverMembers(Fold[Members]):
    """Mean over all runs of what each makes of the label over its epochs."""

    of_run: OfCheckpoint
    over_epochs: OverEpochs

    @property
    def reads_tally(self) -> bool:
        """It does."""
        return True

    def start(self, config: object, batch: Batch, classes: int) -> Members:
        """Return no runs of N examples."""
        return Members(labels=batch.labels, values=Moments.of(np.zeros(len(batch.ids))))

    def update(self, state: Members, output: Output) -> Members:
        """Add one run."""
        value = of_label(output, state.labels, self.of_run, self.over_epochs)
        return replace(state, values=state.values.add(value))

    def finish(self, state: Members) -> Columns:
        """Return mean and spread over runs, [N] float64 each; NaN without a label."""
        return mean_over_runs(state.values, np.where(state.labels < 0, UNLABELLED, ""))
