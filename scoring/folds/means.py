"""The mean over runs of a number that each run gives an example by itself."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from scoring.arrays import Floats
from scoring.folds.moments import Moments
from scoring.folds.runs import mean_over_runs
from scoring.spec import Batch, Columns, Fold, Output


@dataclass(frozen=True)
class MeanOverRuns(Fold[Moments[Floats]]):
    """Mean over runs; `spread` is the population standard deviation."""

    of_run: Callable[[Output], Tensor]
    """Returns [N] float64."""

    def start(self, config: object, batch: Batch, classes: int) -> Moments[Floats]:
        """Return the moments of no run."""
        return Moments.of(np.zeros(len(batch.ids)))

    def update(self, state: Moments[Floats], output: Output) -> Moments[Floats]:
        """Add one run."""
        return state.add(self.of_run(output).cpu().numpy())

    def finish(self, state: Moments[Floats]) -> Columns:
        """Return mean and spread, [N] float64 each."""
        return mean_over_runs(state)
