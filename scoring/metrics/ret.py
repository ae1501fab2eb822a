"""Holdout retraining: how much an answer moves when training goes on without the example.

    ret(x) = (1/M) sum_i KL(f_i(x), g_i(x)) + KL(g_i(x), f_i(x))
           = (1/M) sum_i sum_c (f_i(x)_c - g_i(x)_c) (log f_i(x)_c - log g_i(x)_c)

f_i = softmax of model i, trained on the split of x; g_i = the same weights fine-tuned on a holdout
that x is not part of. Range [0, inf), in nats; low = prototypical; f and g change places freely.
`spread` is the population standard deviation over pairs.

Source: Carlini, Erlingsson & Papernot, "Prototypical Examples in Deep Learning: Metrics,
Characteristics, and Utility" (2019 submission; arXiv:1910.13427), section 2.1. Where the symmetric
divergence is not spelled out, ours is Kullback and Leibler's own sum of both directions; half of it
would change no rank. Cost: 2 M forward passes an example; memory O(N).
"""

from dataclasses import dataclass

import torch

from scoring.arrays import Floats
from scoring.folds.moments import Moments
from scoring.spec import Batch, Columns, MetricSpec, Output, Passes, Signal


@dataclass(frozen=True, kw_only=True)
class Config:
    """Nothing to choose."""


def symmetric_kl(logits: torch.Tensor, other: torch.Tensor) -> Floats:
    """Both directions of KL between two softmaxes, summed.

    Args:
        logits: [N, C], any float dtype.
        other: [N, C].

    Returns:
        [N] float64 nats >= 0, computed in float64 from log-softmax: finite for finite logits.
    """
    log_f = torch.log_softmax(logits.double(), dim=1)
    log_g = torch.log_softmax(other.double(), dim=1)
    divergence: Floats = ((log_f.exp() - log_g.exp()) * (log_f - log_g)).sum(dim=1).cpu().numpy()
    return divergence


def start(config: Config, batch: Batch, classes: int) -> Moments:
    """Begin with no pair seen."""
    return Moments.of(len(batch.ids))


def update(state: Moments, output: Output) -> Moments:
    """Add one pair: the logits before and after fine-tuning."""
    if output.before is None:
        raise ValueError("ret: expected the logits before fine-tuning as well, got none")
    return state.add(symmetric_kl(output.before, output.logits))


def finish(state: Moments) -> Columns:
    """Mean and spread over pairs, [N] float64 each."""
    return Columns(value=state.mean(), spread=state.std())


def passes(config: Config) -> Passes:
    """One forward pass of each pair's two models."""
    return Passes(forward=2)


METRIC = MetricSpec(
    name="ret",
    summary="change of the answer when training goes on without the example",
    version=1,
    signal=Signal.PAIRS,
    config=Config,
    unit="nats",
    prototypical="low",
    source="Carlini et al. 2019, section 2.1",
    passes=passes,
    start=start,
    update=update,
    finish=finish,
)
