import numpy as np
import pytest
import torch
from apply_metric import fold
from scipy.spatial.distance import jensenshannon

from scoring.metrics.agr import METRIC, mean_jensen_shannon
from scoring.spec import Output


def ensemble(models, rows, classes, sharpness, seed=0):
    """Return [M, N, C] float32 probabilities of models that mostly agree; sharp ones are sure."""
    generator = torch.Generator().manual_seed(seed)
    common = torch.randn(1, rows, classes, generator=generator)
    own = torch.randn(models, rows, classes, generator=generator)
    return torch.softmax(sharpness * (common + own / 5), dim=2).numpy()


def slow_loop(probabilities):
    """Compute the formula as printed, in float64, by SciPy (whose distance is the root of JS)."""
    p = probabilities.astype(np.float64)
    models = len(p)
    pairs = [jensenshannon(p[i], p[j], axis=1) ** 2 for i in range(models) for j in range(models)]
    return np.sum(pairs, axis=0) / models**2


def assert_exact(got, want, probabilities):
    """Allow 1e-6 of the probability outside the largest class; the loop itself is off by 1e-16."""
    mean = np.sort(probabilities.astype(np.float64).mean(axis=0), axis=1)
    assert (np.abs(got - want) <= 1e-6 * mean[:, :-1].sum(axis=1) + 1e-15).all()


@pytest.mark.parametrize("models", [1, 2, 3, 4, 5, 8, 11])
@pytest.mark.parametrize("classes", [2, 10])
@pytest.mark.parametrize("sharpness", [1, 5, 20, 100])
def test_equals_the_double_loop(models, classes, sharpness):
    p = ensemble(models, 40, classes, sharpness)
    assert_exact(mean_jensen_shannon(p), slow_loop(p), p)


def test_is_accurate_where_models_are_sure():
    """In plain float32 these values would be noise: many of them are below its resolution."""
    p = ensemble(20, 400, 10, 20)
    want = slow_loop(p)
    assert (want < 1e-7).sum() > 20
    seen = want > 1e-10  # below, the loop itself loses digits
    np.testing.assert_allclose(mean_jensen_shannon(p)[seen], want[seen], rtol=2e-6)


def test_identical_models_agree_exactly():
    p = ensemble(1, 50, 10, 5)
    assert (mean_jensen_shannon(np.repeat(p, 7, axis=0)) == 0).all()
    assert (mean_jensen_shannon(p) == 0).all()


def test_opposite_models_reach_the_bound():
    """Two camps that exclude each other: half of the ordered pairs are ln 2 apart."""
    p = np.zeros((6, 1, 3), dtype=np.float32)
    p[:3, 0, 0] = p[3:, 0, 2] = 1
    # Probabilities below 1e-9 of a class's largest are raised to that.
    np.testing.assert_allclose(mean_jensen_shannon(p), np.log(2) / 2, rtol=1e-7)


def test_many_classes_and_blocks_give_the_same(monkeypatch):
    p = ensemble(9, 30, 200, 3)
    whole = mean_jensen_shannon(p)
    np.testing.assert_allclose(whole, slow_loop(p), rtol=1e-5)
    monkeypatch.setattr("scoring.metrics.agr._ROWS_BYTES", 1)  # one row at a time
    monkeypatch.setattr("scoring.metrics.agr._PRODUCTS_BYTES", 1)  # and one class
    np.testing.assert_array_equal(mean_jensen_shannon(p), whole)


def test_one_class_always_agrees():
    assert mean_jensen_shannon(np.ones((3, 4, 1), dtype=np.float32)).tolist() == [0, 0, 0, 0]


def test_folds_logits():
    p = ensemble(5, 20, 10, 2)
    outputs = [Output(logits=torch.from_numpy(model).log() + 3) for model in p]
    columns = fold(METRIC, outputs)
    np.testing.assert_allclose(columns.value, slow_loop(p), rtol=1e-5)
    assert columns.spread is None


def test_needs_a_run():
    with pytest.raises(ValueError, match="agr: expected outputs of at least one run, got none"):
        METRIC.fold.finish(METRIC.fold.start(METRIC.config(), None, 10))
