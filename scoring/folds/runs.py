"""Folds several runs of several checkpoints each: a value for each run, then the mean over runs."""

from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

import numpy as np

from scoring.arrays import Floats, Ints, Strings
from scoring.folds.moments import Moments
from scoring.spec import Columns, Output

Seen = TypeVar("Seen")


class Run(Protocol[Seen]):
    """The checkpoints of one run so far; immutable."""

    @property
    def checkpoints(self) -> int:
        """How many there are."""
        ...

    def add(self, seen: Seen, /) -> "Run[Seen]":
        """Return the run with one more checkpoint."""
        ...

    def value(self) -> Floats:
        """Return the run's value, [N] float64; it has at least one checkpoint."""
        ...


@dataclass(frozen=True, kw_only=True)
class Runs(Generic[Seen]):
    """The runs so far: the last one by itself, those before it as moments of their values."""

    labels: Ints
    """[N], -1 where unknown."""
    empty: Run[Seen]
    last: Run[Seen]
    number: int = 0
    """Which run is the last."""
    values: Moments[Floats]
    """Of the runs before it."""
    shortest: int | None = None
    """Checkpoints of the shortest of them."""

    @classmethod
    def of(cls, labels: Ints, empty: Run[Seen]) -> "Runs[Seen]":
        """Return no runs of N examples; every run begins as `empty`."""
        values = Moments.of(np.zeros(len(labels)))
        return cls(labels=labels, empty=empty, last=empty, values=values)

    def add(self, output: Output, seen: Seen) -> "Runs[Seen]":
        """Return the runs with one more output; one that is no checkpoint is a run of its own."""
        number = output.checkpoint.run if output.checkpoint else self.number + 1
        runs = self if number == self.number else replace(self.closed(), number=number)
        return replace(runs, last=runs.last.add(seen))

    def closed(self) -> "Runs[Seen]":
        """Return the runs with the last one among the values."""
        checkpoints = self.last.checkpoints
        if not checkpoints:
            return self
        return replace(
            self,
            last=self.empty,
            values=self.values.add(self.last.value()),
            shortest=min(checkpoints, self.shortest or checkpoints),
        )


def mean_over_runs(values: Moments[Floats], status: Strings | None = None) -> Columns:
    """Return mean and population standard deviation of the runs, NaN where there is a status."""
    mean, spread = values.mean(), np.sqrt(values.variance())
    if status is None:
        return Columns(value=mean, spread=spread)
    missing = status != ""
    return Columns(
        value=np.where(missing, np.nan, mean),
        spread=np.where(missing, np.nan, spread),
        status=status,
    )
