import math
from dataclasses import replace

import pytest
import torch

from scoring.errors import UserError
from scoring.run_spec import Privacy, Recipe
from scoring.training.privacy import Mechanism, calibrate, least_noise, spent_epsilon


@pytest.mark.parametrize("accountant", ["prv", "rdp"])
@pytest.mark.parametrize("epsilon", [0.1, 1.0, 8.0])
def test_the_noise_is_the_least_that_keeps_the_budget(epsilon, accountant):
    privacy = Privacy(epsilon=epsilon, delta=1e-5, accountant=accountant)
    noise = least_noise(privacy, 0.0256, 200)
    assert spent_epsilon(privacy, noise, 0.0256, 200) <= epsilon
    assert spent_epsilon(privacy, 0.95 * noise, 0.0256, 200) > epsilon


def test_the_prv_accountant_needs_less_noise_than_rdp():
    prv, rdp = (
        least_noise(Privacy(epsilon=1.0, delta=1e-5, accountant=name), 512 / 60_000, 351)
        for name in ("prv", "rdp")
    )
    assert 0.8 < prv / rdp < 0.95


def test_one_full_batch_step_agrees_with_the_gaussian_mechanism():
    """Closed form of delta for the Gaussian mechanism (Balle & Wang 2018, theorem 8)."""
    noise, delta = 2.0, 1e-5

    def normal(x):
        return 0.5 * math.erfc(-x / math.sqrt(2))

    def delta_at(epsilon):
        shift = epsilon * noise
        upper, lower = normal(0.5 / noise - shift), normal(-0.5 / noise - shift)
        return upper - math.exp(epsilon) * lower

    low, high = 0.0, 50.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if delta_at(middle) > delta else (low, middle)
    privacy = Privacy(epsilon=high, delta=delta)
    # The accountant reports an upper bound, accurate to one percent of epsilon.
    assert high <= spent_epsilon(privacy, noise, 1.0, 1) <= 1.03 * high


def test_a_mechanism_is_calibrated_to_its_recipe():
    recipe = Recipe(batch_rows=256, epochs=3)
    found = calibrate(Privacy(epsilon=1.0, delta=1e-5), recipe, rows=1000)
    assert (found.sample_rate, found.expected_rows, found.epoch_steps) == (0.256, 256.0, 4)
    assert found.spent(epochs=3) <= 1.0
    assert found.spent(epochs=1) < found.spent(epochs=3)
    longer = calibrate(found.privacy, replace(recipe, min_steps=40), rows=1000)
    assert longer.spent(epochs=10) <= 1.0
    assert longer.noise_multiplier > found.noise_multiplier
    small = calibrate(Privacy(epsilon=1.0, delta=1e-5), recipe, rows=100)
    assert (small.sample_rate, small.expected_rows, small.epoch_steps) == (1.0, 100.0, 1)


def test_poisson_batches_hold_each_row_independently():
    privacy = Privacy(epsilon=1.0, delta=1e-5)
    rate, steps, rows = 0.3, 2000, torch.arange(10, 30)
    drawn = Mechanism(
        privacy=privacy,
        noise_multiplier=1.0,
        sample_rate=rate,
        expected_rows=6.0,
        epoch_steps=steps,
    )
    batches = list(drawn.batches(rows, torch.Generator().manual_seed(0)))
    held = torch.stack([torch.isin(rows, batch) for batch in batches]).double()  # [steps, 20]
    error = math.sqrt(rate * (1 - rate) / steps)
    assert (held.mean(0) - rate).abs().max() < 5 * error
    # Sizes vary as a binomial's do; fixed-size batches would have variance 0.
    assert held.sum(1).var().item() == pytest.approx(20 * rate * (1 - rate), rel=0.2)
    # Two rows share a batch as often as independent draws would.
    assert (held[:, 0] * held[:, 1]).mean().item() == pytest.approx(rate**2, abs=5 * error)


def test_a_budget_out_of_reach_is_refused():
    with pytest.raises(UserError, match="--epsilon: expected a budget that 100 steps can meet"):
        least_noise(Privacy(epsilon=1e-3, delta=1e-5, accountant="rdp"), 0.4, 100)
