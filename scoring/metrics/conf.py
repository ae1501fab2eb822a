"""Confidence: how sure independently trained models are of their prediction.

    conf(x) = (1/M) sum_i max_c f_i(x)_c                      f_i = softmax of model i

Range [1/C, 1]; high = prototypical. The label plays no part: models that are sure and wrong count
as sure. `spread` is the population standard deviation over models.

Source: Carlini, Erlingsson & Papernot, "Prototypical Examples in Deep Learning: Metrics,
Characteristics, and Utility" (2019 submission; arXiv:1910.13427), section 2.1. We differ: nothing.
Cost: M forward passes per example; memory O(N).
"""

import torch
from torch import Tensor

from scoring.folds.means import MeanOverRuns
from scoring.spec import FoldedMetric, Output, Signal


def confidence(output: Output) -> Tensor:
    """Return max_c f(x)_c, [N] float64."""
    return torch.softmax(output.logits.double(), dim=1).amax(dim=1)


METRIC = FoldedMetric(
    name="conf",
    summary="mean confidence of independently trained models",
    purpose="atypical",
    version=1,
    unit="probability",
    prototypical="high",
    source="Carlini et al. 2019, section 2.1",
    signal=Signal.ENSEMBLE,
    fold=MeanOverRuns(confidence),
)
