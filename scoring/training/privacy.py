"""The mechanism of a private run: Poisson sampling, and the least noise its budget allows.

Each step draws every row with probability q and adds Gaussian noise to the sum of the clipped
gradients. Opacus' accountants say what that spends: PRV (Gopi et al. 2021, arXiv:2106.02848) by
default, RDP to compare.
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

_SHARPNESS = 0.01  # of epsilon: accuracy of the accountant and of the search for the least noise
_SHARPEST = 1e-3  # absolute: PRV's memory grows as its inverse
_RDP_ORDERS = (*(1 + tenths / 10 for tenths in range(1, 100)), *range(12, 64), 64, 128, 256, 512)
"""Opacus' own, and larger ones: without them no noise reaches epsilon 0.1."""


@dataclass(frozen=True, kw_only=True)
class Mechanism:
    """The subsampled Gaussian mechanism of one run."""

    privacy: Privacy
    noise_multiplier: float
    """Standard deviation of the noise in units of the clipping norm."""
    sample_rate: float
    """q: probability of each row to be in a batch."""
    expected_rows: float
    """Expected rows of a batch."""
    epoch_steps: int
    """Steps an epoch: as many as batches of the expected size would take."""

    def batches(self, rows: Tensor, stream: torch.Generator) -> Iterator[Tensor]:
        """One epoch of Poisson batches of `rows` [N]; a batch may be empty."""
        for _ in range(self.epoch_steps):
            draws = torch.rand(len(rows), generator=stream, dtype=torch.float64)
            yield rows[draws < self.sample_rate]

    def spent(self, epochs: int) -> float:
        """Epsilon spent after `epochs`, at the budget's delta."""
        steps = epochs * self.epoch_steps
        return spent_epsilon(self.privacy, self.noise_multiplier, self.sample_rate, steps)


def mechanism(privacy: Privacy, recipe: Recipe, rows: int) -> Mechanism:
    """The mechanism with the least noise for all the recipe's epochs on `rows` rows.

    Raises:
        UserError: delta is too large for the rows, or no noise is enough for epsilon.
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
    """The least noise multiplier that keeps `steps` steps within the budget.

    Raises:
        UserError: no amount of noise does.
    """
    from opacus.accountants.utils import get_noise_multiplier

    try:
        with _accounting(privacy) as precision:
            return float(
                get_noise_multiplier(
                    target_epsilon=privacy.epsilon,
                    target_delta=privacy.delta,
                    sample_rate=sample_rate,
                    steps=steps,
                    accountant=privacy.accountant,
                    epsilon_tolerance=_SHARPNESS * privacy.epsilon,
                    **precision,
                )
            )
    except ValueError as error:
        raise UserError(
            f"--epsilon: expected a budget that {steps} steps can keep by the "
            f"{privacy.accountant} accountant, got {privacy.epsilon:g} ({error})"
        ) from error


@functools.cache
def spent_epsilon(privacy: Privacy, noise: float, sample_rate: float, steps: int) -> float:
    """Epsilon that `steps` steps with this noise multiplier spend, at `privacy.delta`."""
    from opacus.accountants import create_accountant

    accountant = create_accountant(privacy.accountant)
    accountant.history = [(noise, sample_rate, steps)]
    with _accounting(privacy) as precision:
        return float(accountant.get_epsilon(delta=privacy.delta, **precision))


@contextmanager
def _accounting(privacy: Privacy) -> Iterator[dict[str, Any]]:
    """Options of the accountant; PRV sizes its grid by a rough RDP bound that need not be tight."""
    with warnings.catch_warnings(), np.errstate(divide="ignore"):  # log(1 - q) at q = 1
        warnings.filterwarnings("ignore", message="Optimal order is the")
        if privacy.accountant == "prv":
            yield {"eps_error": max(_SHARPEST, _SHARPNESS * privacy.epsilon)}
        else:
            yield {"alphas": _RDP_ORDERS}
