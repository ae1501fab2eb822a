"""The mean over runs of the epoch from which each had lost an example for good."""

from dataclasses import dataclass, replace

import numpy as np

from scoring.arrays import Ints
from scoring.folds.by_seen import RowMoments
from scoring.folds.dynamics import margin
from scoring.folds.over_epochs import of_label
from scoring.spec import Batch, Columns, Fold, Output
from scoring.statuses import NO_TALLY, UNLABELLED


@dataclass(frozen=True, kw_only=True)
class Losses:
    """The runs so far."""

    labels: Ints
    """[N], -1 where unknown."""
    epochs: RowMoments
    """Of the runs that looked at the row."""
    margins: RowMoments
    """Of the label's logit, once they were finished."""
    runs: int = 0
    """How many, those included that looked at no row."""


@dataclass(frozen=True)
class ForgottenSince(Fold[Losses]):
    """Mean over the runs that looked at the example; `spread` is the population deviation.

    Most examples are never lost, so `tiebreak` orders equal values: the mean margin of the label's
    logit when the same runs were finished.
    """

    @property
    def reads_tally(self) -> bool:
        """It does."""
        return True

    def start(self, config: object, batch: Batch, classes: int) -> Losses:
        """Return no runs of N examples."""
        none = RowMoments.of(len(batch.ids))
        return Losses(labels=batch.labels, epochs=none, margins=none)

    def update(self, state: Losses, output: Output) -> Losses:
        """Add one run."""
        state = replace(state, runs=state.runs + 1)
        if output.tally is None:
            return state
        since = output.tally.wrong_since.astype(np.float64)
        looked = np.isfinite(since)
        return replace(
            state,
            epochs=state.epochs.add(since, looked),
            margins=state.margins.add(of_label(output, state.labels, margin), looked),
        )

    def finish(self, state: Losses) -> Columns:
        """Return the columns, [N] float64 each; NaN without a label, or if no run looked."""
        if not state.runs:
            raise ValueError("expected outputs of at least one run, got none")
        cases = {UNLABELLED: state.labels < 0, NO_TALLY: state.epochs.counts == 0}
        status = np.select([*cases.values()], [*cases], default="")
        missing = status != ""
        return Columns(
            value=np.where(missing, np.nan, state.epochs.means),
            spread=np.where(missing, np.nan, state.epochs.deviation()),
            tiebreak=np.where(missing, np.nan, state.margins.means),
            status=status,
        )
