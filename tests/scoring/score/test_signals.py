"""The cache of models."""

import pytest
from torch import nn

from scoring.score.signals import model_cache

BYTES = 4 * (9 * 10 + 10)  # of a linear layer from 9 to 10


def cache_of(models, budget):
    cache = model_cache(budget)
    for number in range(models):
        cache[str(number), 0] = nn.Linear(9, 10)
    return cache


def held(cache):
    return sorted(run for run, _ in cache)


def test_models_fit_the_budget_and_the_oldest_goes_first():
    assert held(cache_of(5, budget=3 * BYTES)) == ["2", "3", "4"]
    assert held(cache_of(5, budget=4 * BYTES - 1)) == ["2", "3", "4"]


def test_a_model_that_was_used_stays():
    cache = cache_of(3, budget=3 * BYTES)
    assert ("0", 0) in cache
    _ = cache["0", 0]
    cache["3", 0] = nn.Linear(9, 10)
    assert held(cache) == ["0", "2", "3"]


@pytest.mark.parametrize("budget", [0, 1, BYTES - 1])
def test_a_model_larger_than_the_budget_is_held_alone(budget):
    assert held(cache_of(3, budget)) == ["2"]
