import numpy as np
import pytest

from scoring.folds.moments import Moments


def test_equal_numpy_even_where_the_spread_is_small_beside_the_mean():
    values = 1e8 + np.random.default_rng(0).normal(size=(20, 5))
    moments = Moments.of(5)
    for run in values:
        moments = moments.add(run)
    np.testing.assert_allclose(moments.mean(), values.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(moments.std(), values.std(axis=0), rtol=1e-6)


def test_no_run_has_no_mean():
    with pytest.raises(ValueError, match="expected outputs of at least one run, got none"):
        Moments.of(3).mean()
