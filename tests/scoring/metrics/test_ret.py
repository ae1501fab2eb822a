import numpy as np
import pytest
import torch
from apply_metric import fold
from scipy.special import rel_entr

from scoring.metrics.ret import METRIC, symmetric_kl
from scoring.spec import Output


def pair(rows=30, classes=10, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (3 * torch.randn(2, rows, classes, generator=generator)).unbind(0)


def test_equal_models_have_no_divergence():
    f, _ = pair()
    assert (symmetric_kl(f, f) == 0).all()
    np.testing.assert_allclose(symmetric_kl(f, f + 7), 0, atol=1e-6)  # softmax ignores a shift


def test_before_and_after_are_interchangeable():
    f, g = pair()
    np.testing.assert_allclose(symmetric_kl(f, g), symmetric_kl(g, f), rtol=1e-14)


def test_equals_both_directions_of_kl():
    f, g = pair()
    p, q = (torch.softmax(z.double(), dim=1).numpy() for z in (f, g))
    want = (rel_entr(p, q) + rel_entr(q, p)).sum(axis=1)
    np.testing.assert_allclose(symmetric_kl(f, g), want, rtol=1e-12)


def test_mean_and_spread_over_pairs():
    pairs = [pair(seed=seed) for seed in range(4)]
    each = np.stack([symmetric_kl(f, g) for f, g in pairs])
    columns = fold(METRIC, [Output(logits=g, before=f) for f, g in pairs])
    np.testing.assert_allclose(columns.value, each.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(columns.spread, each.std(axis=0), rtol=1e-12)


def test_needs_logits_from_before():
    with pytest.raises(ValueError, match="ret: expected the logits before fine-tuning"):
        fold(METRIC, [Output(logits=torch.zeros(2, 3))])
