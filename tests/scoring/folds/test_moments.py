import numpy as np
import pytest
import torch

from scoring.folds.moments import Moments


@pytest.mark.parametrize("array", [np.asarray, torch.from_numpy])
def test_equal_numpy_even_where_the_spread_is_small_compared_with_the_mean(array):
    values = 1e8 + np.random.default_rng(0).normal(size=(20, 5))
    moments = Moments.of(array(np.zeros(5)))
    for run in values:
        moments = moments.add(array(run))
    np.testing.assert_allclose(moments.mean(), values.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(moments.variance(), values.var(axis=0), rtol=1e-6)


def test_a_single_value_has_no_variance():
    moments = Moments.of(np.zeros(3)).add(np.array([0.1, -2.0, 1e300]))
    assert moments.variance().tolist() == [0.0, 0.0, 0.0]


def test_without_a_value_there_is_no_mean():
    with pytest.raises(ValueError, match="expected outputs of at least one run, got none"):
        Moments.of(np.zeros(3)).mean()
