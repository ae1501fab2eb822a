"""The mean over runs of the epoch from which each had lost an example for good."""

from dataclasses import dataclass, replace

import numpy as np

from scoring.arrays import Ints
from scoring.folds.by_seen import RowMoments
from scoring.spec import Batch, Columns, Fold, Output
from scoring.statuses import NO_TALLY, UNLABELLED


@dataclass(frozen=True, kw_only=True)
class Losses:
    """The runs so far."""

    labels: Ints
    """[N], -1 where unknown."""
    epochs: RowMoments
    """Of the runs that looked at the row."""
    runs: int = 0
    """How many, those included that looked at no row."""


@dataclass(frozen=True)
class ForgottenSince(Fold[Losses]):
    """Mean over the runs that looked at the example; `spread` is the population deviation."""

    @property
    def reads_tally(self) -> bool:
        """It does."""
        return True

    def start(self, config: object, batch: Batch, classes: int) -> Losses:
        """Return no runs of N examples."""
        return Losses(labels=batch.labels, epochs=RowMoments.of(len(batch.ids)))

    def update(self, state: Losses, output: Output) -> Losses:
        """Add one run."""
        state = replace(state, runs=state.runs + 1)
        if output.tally is None:
            return state
        since = output.tally.wrong_since.astype(np.float64)
        return replace(state, epochs=state.epochs.add(since, np.isfinite(since)))

    def finish(self, state: Losses) -> Columns:
        """Return mean and spread, [N] float64 each; NaN without a label, or if no run looked."""
        if not state.runs:
            raise ValueError("expected outputs of at least one run, got none")
        cases = {UNLABELLED: state.labels < 0, NO_TALLY: state.epochs.counts == 0}
        status = np.select([*cases.values()], [*cases], default="")
        missing = status != ""
        return Columns(
            value=np.where(missing, np.nan, state.epochs.means),
            spread=np.where(missing, np.nan, state.epochs.deviation()),
            status=status,
        )
