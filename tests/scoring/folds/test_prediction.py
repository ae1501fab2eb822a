import torch
from apply_metric import fold

from scoring.folds.prediction import PREDICTED
from scoring.spec import Output


def test_the_mean_softmax_decides_not_the_vote():
    """Two models lean to class 0, one is sure of class 1: their mean is for class 1."""
    models = torch.tensor([[[0.55, 0.45]], [[0.55, 0.45]], [[0.05, 0.95]]]).log()
    assert fold(PREDICTED, [Output(logits=z) for z in models]).value.tolist() == [1.0]


def test_a_tie_goes_to_the_lower_class():
    assert fold(PREDICTED, [Output(logits=torch.zeros(2, 3))]).value.tolist() == [0.0, 0.0]
