"""Freeing probabilities of the noise that models believe."""

import numpy as np
import pytest

from scoring.analysis.unmixing import unmixed

CATS_ARE_DOGS = np.array([[0.8, 0.2, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


def test_a_sure_cat_is_one():
    found = unmixed(np.array([[0.8, 0.2, 0.0], [0.0, 0.0, 1.0]]), CATS_ARE_DOGS, belief=1.0)
    np.testing.assert_allclose(found, [[1, 0, 0], [0, 0, 1]], atol=0.03)


@pytest.mark.parametrize("belief", [0.0, 0.5, 1.0])
def test_what_is_unmixed_is_mixed_again(belief):
    random = np.random.default_rng(0)
    true = random.dirichlet(np.ones(3), 50)
    mixing = (1 - belief) * np.eye(3) + belief * CATS_ARE_DOGS
    found = unmixed(true @ mixing, CATS_ARE_DOGS, belief)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    np.testing.assert_allclose(found @ mixing, true @ mixing, atol=0.01)


def test_without_belief_nothing_changes():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), 50)
    np.testing.assert_allclose(unmixed(probabilities, CATS_ARE_DOGS, 0.0), probabilities, atol=1e-5)
