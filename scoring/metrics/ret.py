"""Holdout retraining: how much a prediction changes when training continues without the example.

    ret(x) = (1/M) sum_i KL(f_i(x), g_i(x)) + KL(g_i(x), f_i(x))
           = (1/M) sum_i sum_c (f_i(x)_c - g_i(x)_c) (log f_i(x)_c - log g_i(x)_c)

f_i = softmax of model i, trained on the split of x; g_i = the same weights, fine-tuned on a holdout
that does not contain x. Range [0, inf), in nats; low = prototypical; symmetric in f and g. `spread`
is the population standard deviation over pairs.

Source: Carlini, Erlingsson & Papernot, "Prototypical Examples in Deep Learning: Metrics,
Characteristics, and Utility" (2019 submission; arXiv:1910.13427), section 2.1. The paper does not
spell out the symmetric divergence; ours is Kullback and Leibler's own, the sum of both directions.
Half of it would change no rank. Cost: 2 M forward passes per example; memory O(N).
"""

import torch
from torch import Tensor

from scoring.folds.means import MeanOverRuns
from scoring.spec import FoldedMetric, Output, Signal


def symmetric_kl(logits: Tensor, other: Tensor) -> Tensor:
    """Return the sum of both directions of KL between two softmaxes.

    Args:
        logits: [N, C], any float dtype.
        other: [N, C].

    Returns:
        [N] float64 nats >= 0, computed in float64 from log-softmax: finite for finite logits.
    """
    log_f = torch.log_softmax(logits.double(), dim=1)
    log_g = torch.log_softmax(other.double(), dim=1)
    return ((log_f.exp() - log_g.exp()) * (log_f - log_g)).sum(dim=1)


def change(output: Output) -> Tensor:
    """Return the divergence between the logits before and after fine-tuning, [N] float64."""
    if output.before is None:
        raise ValueError("ret: expected the logits before fine-tuning as well, got none")
    return symmetric_kl(output.before, output.logits)


METRIC = FoldedMetric(
    name="ret",
    summary="change in the prediction when training continues without the example",
    purpose="atypical",
    version=1,
    unit="nats",
    prototypical="low",
    source="Carlini et al. 2019, section 2.1",
    signal=Signal.PAIRS,
    fold=MeanOverRuns(change),
)
