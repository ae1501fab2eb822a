import numpy as np
import pytest
import torch
from apply_metric import fold
from scipy.special import rel_entr

from scoring.metrics.agr_kl import METRIC
from scoring.spec import Batch, Output


def logits(models, rows, classes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(models, rows, classes, generator=generator)


def test_equals_the_double_loop():
    z = logits(7, 30, 10)
    p = torch.softmax(z.double(), dim=2).numpy()
    want = sum(rel_entr(f, g) + rel_entr(g, f) for f in p for g in p).sum(axis=1) / 7**2
    got = fold(METRIC, [Output(logits=model) for model in z]).value
    np.testing.assert_allclose(got, want, rtol=1e-12)


def test_identical_models_agree_exactly():
    z = logits(1, 30, 10)[0]
    assert (fold(METRIC, [Output(logits=z)] * 5).value == 0).all()


def test_stays_finite_and_exact_where_softmax_underflows():
    """With logits 1000 apart, KL is the gap in logits, whatever float32 makes of e^-1000."""
    one = torch.tensor([[1000.0, 0.0]])
    value = fold(METRIC, [Output(logits=one), Output(logits=one.flip(1))]).value
    np.testing.assert_allclose(value, [2 * 2 * 1000 / 4], rtol=1e-12)


def test_the_order_of_runs_does_not_matter():
    outputs = [Output(logits=model) for model in logits(6, 30, 10)]
    forward, backward = fold(METRIC, outputs).value, fold(METRIC, outputs[::-1]).value
    np.testing.assert_allclose(forward, backward, rtol=1e-12)


def test_needs_a_run():
    batch = Batch(ids=np.arange(2), labels=np.zeros(2, dtype=np.int64))
    with pytest.raises(ValueError, match="agr_kl: expected outputs of at least one run, got none"):
        METRIC.fold.finish(METRIC.fold.start(METRIC.config(), batch, 10))
