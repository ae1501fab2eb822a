import numpy as np
import torch
from scipy.special import softmax
from torch import nn

from scoring.metrics.msp import METRIC
from scoring.spec import Batch


class AsLogits(nn.Module):
    """The pixels of an image are its logits."""

    def forward(self, images):
        return images.flatten(1)


def columns(logits):
    images = torch.tensor(logits).reshape(len(logits), 1, 1, -1)
    ids = np.arange(len(logits))
    return METRIC.score(
        METRIC.config(), Batch(ids=ids, labels=ids * 0 - 1, inputs=images), AsLogits()
    )


def test_it_is_the_largest_probability_whatever_the_label():
    logits = [[0.0, 0.0, 0.0], [1.0, 3.0, -2.0], [-1.0, -1.0, 0.5]]
    np.testing.assert_allclose(columns(logits).value, softmax(logits, axis=1).max(axis=1))


def test_certain_examples_are_ordered_by_the_lead_of_their_class():
    found = columns([[0.0, 60.0, 0.0], [0.0, 80.0, 0.0], [70.0, 0.0, 0.0]])
    assert (found.value == 1).all()
    np.testing.assert_allclose(found.tiebreak, np.array([60, 80, 70]) - np.log(2))
