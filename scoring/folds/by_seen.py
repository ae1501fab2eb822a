"""Means over the runs that saw an example, and over those that did not.

A run that nobody knows the training rows of counts as neither. What counts is the number of runs an
example has on either side, which differs from example to example.
"""

from dataclasses import dataclass, replace

import numpy as np

from scoring.arrays import Bools, Floats, Ints, Strings
from scoring.folds.dynamics import OfCheckpoint
from scoring.folds.over_epochs import OverEpochs, of_label
from scoring.spec import Batch, Columns, Fold, Output
from scoring.statuses import NOBODY_KNOWS, SEEN_BY_ALL, SEEN_BY_NONE, UNLABELLED


@dataclass(frozen=True)
class RowMoments:
    """Mean and squared deviations of each row's values so far, by Welford's recurrence.

    Unlike `Moments`, each row has a number of values of its own.
    """

    counts: Ints
    """[N]."""
    means: Floats
    """[N], 0 where there is no value."""
    squares: Floats
    """[N] sum of squared deviations from the mean."""

    @classmethod
    def of(cls, rows: int) -> "RowMoments":
        """Return the moments of no values."""
        return cls(np.zeros(rows, dtype=np.int64), np.zeros(rows), np.zeros(rows))

    def add(self, value: Floats, where: Bools) -> "RowMoments":
        """Return the moments with one more value in some of the rows."""
        counts = self.counts + where
        change = np.where(where, value - self.means, 0.0)
        means = self.means + change / np.maximum(counts, 1)
        squares = self.squares + change * np.where(where, value - means, 0.0)
        return RowMoments(counts, means, squares)

    def deviation(self) -> Floats:
        """Return the population standard deviation, 0 for one value or none."""
        deviation: Floats = np.sqrt(self.squares / np.maximum(self.counts, 1))
        return deviation


@dataclass(frozen=True, kw_only=True)
class BySeen:
    """The runs so far, by whether they saw the example."""

    labels: Ints
    """[N], -1 where unknown."""
    seen: RowMoments
    unseen: RowMoments
    runs: int = 0
    """How many, those included that nobody knows the training rows of."""

    def status(self, *, needs_seen: bool) -> Strings:
        """Say why a row has no value: no label, or no run on a side that is needed.

        Raises:
            ValueError: there was no run.
        """
        if not self.runs:
            raise ValueError("expected outputs of at least one run, got none")
        none_saw, all_saw = self.seen.counts == 0, self.unseen.counts == 0
        cases = {
            UNLABELLED: self.labels < 0,
            NOBODY_KNOWS: none_saw & all_saw,
            SEEN_BY_ALL: all_saw,
            SEEN_BY_NONE: none_saw & needs_seen,
        }
        status: Strings = np.select([*cases.values()], [*cases], default="")
        return status


@dataclass(frozen=True)
class _Divided(Fold[BySeen]):
    """Divides what runs make of the label by whether they saw the example."""

    of_run: OfCheckpoint
    over_epochs: OverEpochs | None = None
    """The mean over a run's epochs, which goes before `of_run` of its finished net."""

    @property
    def reads_tally(self) -> bool:
        """Whether it takes means over epochs."""
        return self.over_epochs is not None

    @property
    def reads_seen(self) -> bool:
        """It does."""
        return True

    def start(self, config: object, batch: Batch, classes: int) -> BySeen:
        """Return no runs of N examples."""
        none = RowMoments.of(len(batch.ids))
        return BySeen(labels=batch.labels, seen=none, unseen=none)

    def update(self, state: BySeen, output: Output) -> BySeen:
        """Add one run."""
        state = replace(state, runs=state.runs + 1)
        if output.seen is None:
            return state
        value = of_label(output, state.labels, self.of_run, self.over_epochs)
        return replace(
            state,
            seen=state.seen.add(value, output.seen),
            unseen=state.unseen.add(value, ~output.seen),
        )


@dataclass(frozen=True)
class OutOfBag(_Divided):
    """The mean over the runs that did not see the example."""

    def finish(self, state: BySeen) -> Columns:
        """Return mean and spread, [N] float64 each; NaN without a label or if all saw it."""
        status = state.status(needs_seen=False)
        missing = status != ""
        return Columns(
            value=np.where(missing, np.nan, state.unseen.means),
            spread=np.where(missing, np.nan, state.unseen.deviation()),
            status=status,
        )


@dataclass(frozen=True)
class SeenMinusUnseen(_Divided):
    """The mean over the runs that saw the example, minus that over those that did not."""

    def finish(self, state: BySeen) -> Columns:
        """Return the difference, [N] float64; NaN without a label, or if all or none saw it."""
        status = state.status(needs_seen=True)
        difference = state.seen.means - state.unseen.means
        return Columns(value=np.where(status != "", np.nan, difference), status=status)
