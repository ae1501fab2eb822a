import numpy as np
import torch
from apply_metric import fold

from scoring.metrics.conf import METRIC
from scoring.spec import Output


def test_mean_and_spread_of_hand_made_probabilities():
    models = [[[0.7, 0.2, 0.1], [0.5, 0.5, 0.0]], [[0.1, 0.0, 0.9], [0.5, 0.0, 0.5]]]
    outputs = [Output(logits=torch.tensor(p, dtype=torch.float64).log()) for p in models]
    columns = fold(METRIC, outputs)
    np.testing.assert_allclose(columns.value, [0.8, 0.5], rtol=1e-12)
    np.testing.assert_allclose(columns.spread, [0.1, 0.0], atol=1e-12)


def test_range_ends_at_one_over_classes_and_one():
    flat, sure = torch.zeros(1, 4), torch.tensor([[200.0, 0.0, 0.0, 0.0]])
    assert fold(METRIC, [Output(logits=flat)]).value.tolist() == [0.25]
    assert fold(METRIC, [Output(logits=sure)]).value.tolist() == [1.0]


def test_one_model_has_no_spread():
    columns = fold(METRIC, [Output(logits=torch.randn(5, 3))])
    assert columns.spread.tolist() == [0.0] * 5
