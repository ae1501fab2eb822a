"""Mean and standard deviation over runs, one run at a time.

Welford's recurrence in float64 ("Note on a method for calculating corrected sums of squares and
products", Technometrics 1962): the deviation does not drown when it is small beside the mean.
"""

from dataclasses import dataclass

import numpy as np

from scoring.arrays import Floats


@dataclass(frozen=True)
class Moments:
    """What is known of N examples after some runs."""

    runs: int
    means: Floats
    """[N] float64."""
    squares: Floats
    """[N] float64: sum of squared deviations from the mean."""

    @classmethod
    def of(cls, rows: int) -> "Moments":
        """Nothing yet known of `rows` examples."""
        return cls(0, np.zeros(rows), np.zeros(rows))

    def add(self, values: Floats) -> "Moments":
        """With one more run's values, [N] float64."""
        runs = self.runs + 1
        deviation = values - self.means
        means = self.means + deviation / runs
        return Moments(runs, means, self.squares + deviation * (values - means))

    def mean(self) -> Floats:
        """[N] float64; `ValueError` where no run was added."""
        self._check()
        return self.means

    def std(self) -> Floats:
        """[N] float64, population form: 0 for one run; `ValueError` where no run was added."""
        self._check()
        deviation: Floats = np.sqrt(self.squares / self.runs)
        return deviation

    def _check(self) -> None:
        if self.runs == 0:
            raise ValueError("expected outputs of at least one run, got none")
