"""Mean and variance, one value at a time, in numpy or torch.

Welford's recurrence ("Note on a method for calculating corrected sums of squares and products",
Technometrics 1962) stays accurate where the deviation is small compared with the mean.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from scoring.arrays import Floats

Array = TypeVar("Array", Floats, Tensor)


def next_mean(mean: Array, value: Array, count: int) -> Array:
    """Return the mean of `count` values, given that of all but the last."""
    return mean + (value - mean) / count


@dataclass(frozen=True)
class Moments(Generic[Array]):
    """Mean and squared deviations of the values so far, elementwise."""

    count: int
    means: Array
    squares: Array
    """Sum of squared deviations from the mean."""

    @classmethod
    def of(cls, zeros: Array) -> "Moments[Array]":
        """Return the moments of no value; `zeros` has the shape, dtype and device of values."""
        return Moments(0, zeros, zeros)

    def add(self, value: Array) -> "Moments[Array]":
        """Return the moments with one more value."""
        means = next_mean(self.means, value, self.count + 1)
        squares = _add_product(self.squares, value - self.means, value - means)
        return Moments(self.count + 1, means, squares)

    def mean(self) -> Array:
        """Return the mean; `ValueError` if there is no value."""
        self._check()
        return self.means

    def variance(self) -> Array:
        """Return the population variance, 0 for one value; `ValueError` if there is none."""
        self._check()
        return self.squares / self.count

    def _check(self) -> None:
        if self.count == 0:
            raise ValueError("expected outputs of at least one run, got none")


def _add_product(total: Array, left: Array, right: Array) -> Array:
    """Return total + left * right."""
    if isinstance(total, Tensor):
        return torch.addcmul(total, left, right)  # rounds once: `+` and `*` would change VoG's bits
    return total + left * right
