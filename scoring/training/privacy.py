"""The mechanism of a private run: Poisson sampling, and the least noise that its budget allows.

Each step draws every row with probability q and adds Gaussian noise to the sum of the clipped
gradients. Opacus' accountants compute the epsilon spent: PRV (Gopi et al. 2021, arXiv:2106.02848)
by default, RDP for comparison.
"""

import functools
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scoring.errors import UserError
from scoring.run_spec import Privacy, Recipe

_TOLERANCE = 0.01  # of epsilon: error of the accountant and of the search for the least noise
_SMALLEST_ERROR = 1e-3  # in epsilon: PRV's memory is inversely proportional to it
_RDP_ORDERS = (*(1 + tenths / 10 for tenths in range(1, 100)), *range(12, 64), 64, 128, 256, 512)
"""Opacus' own orders and some larger ones, without which no noise reaches epsilon 0.1."""


@dataclass(frozen=True, kw_only=True)
class Mechanism:
    """The subsampled Gaussian mechanism of one run."""

    privacy: Privacy
    noise_multiplier: float
    """Standard deviation of the noise in units of the clipping norm."""
    sample_rate: float
    """q: probability that a given row is in a batch."""
    expected_rows: float
    """Expected number of rows in a batch."""
    epoch_steps: int
    """Steps per epoch: as many as an epoch would have with batches of the expected size."""

    def batches(self, rows: Tensor, stream: torch.Generator) -> Iterator[Tensor]:
        """Yield one epoch of Poisson batches of `rows` [N]; a batch may be empty."""
        for _ in range(self.epoch_steps):
            draws = torch.rand(len(rows), generator=stream, dtype=torch.float64)
            yield rows[draws < self.sample_rate]

    def spent(self, epochs: int) -> float:
        """Return the epsilon spent after `epochs`, at the budget's delta."""
        steps = epochs * self.epoch_steps
        return spent_epsilon(self.privacy, self.noise_multiplier, self.sample_rate, steps)


def calibrate(privacy: Privacy, recipe: Recipe, rows: int) -> Mechanism:
    """Find the mechanism with the least noise for all of the recipe's epochs on `rows` rows.

    Raises:
        UserError: delta is too large for the rows, or no amount of noise keeps epsilon.
    """
    if not 0 < privacy.delta < 1 / rows:
        raise UserError(
            f"--delta: expected more than 0 and less than 1 / {rows} rows, got {privacy.delta:g}"
        )
    sample_rate = min(1.0, recipe.batch_rows / rows)
    epoch_steps = math.ceil(rows / recipe.batch_rows)
    noise = least_noise(privacy, sample_rate, recipe.epochs_for(rows) * epoch_steps)
    return Mechanism(
        privacy=privacy,
        noise_multiplier=noise,
        sample_rate=sample_rate,
        expected_rows=sample_rate * rows,
        epoch_steps=epoch_steps,
    )


@functools.cache
def least_noise(privacy: Privacy, sample_rate: float, steps: int) -> float:
    """Find the least noise multiplier that keeps `steps` steps within the budget.

    Raises:
        UserError: no amount of noise does.
    """
    from opacus.accountants.utils import get_noise_multiplier

    try:
        with _accountant_options(privacy) as options:
            return float(
                get_noise_multiplier(
                    target_epsilon=privacy.epsilon,
                    target_delta=privacy.delta,
                    sample_rate=sample_rate,
                    steps=steps,
                    accountant=privacy.accountant,
                    epsilon_tolerance=_TOLERANCE * privacy.epsilon,
                    **options,
                )
            )
    except ValueError as error:
        raise UserError(
            f"--epsilon: expected a budget that {steps} steps can meet by the "
            f"{privacy.accountant} accountant, got {privacy.epsilon:g} ({error})"
        ) from error


@functools.cache
def spent_epsilon(privacy: Privacy, noise: float, sample_rate: float, steps: int) -> float:
    """Return the epsilon spent by `steps` steps with this noise multiplier, at `privacy.delta`."""
    from opacus.accountants import create_accountant

    accountant = create_accountant(privacy.accountant)
    accountant.history = [(noise, sample_rate, steps)]
    with _accountant_options(privacy) as options:
        return float(accountant.get_epsilon(delta=privacy.delta, **options))


@contextmanager
def _accountant_options(privacy: Privacy) -> Iterator[dict[str, Any]]:
    """Yield the accountant's options while silencing warnings that do not matter here.

    PRV sizes its grid by an RDP bound, which may be rough.
    """
    with warnings.catch_warnings(), np.errstate(divide="ignore"):  # log(1 - q) at q = 1
        warnings.filterwarnings("ignore", message="Optimal order is the")
        if privacy.accountant == "prv":
            yield {"eps_error": max(_SMALLEST_ERROR, _TOLERANCE * privacy.epsilon)}
        else:
            yield {"alphas": _RDP_ORDERS}
