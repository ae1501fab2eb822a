"""Ensemble agreement by symmetric KL: how far apart independently trained models are, in logs too.

    agr_kl(x) = (1/M^2) sum_ij KL(f_i(x), f_j(x)) + KL(f_j(x), f_i(x))
              = 2 sum_c Cov_i(f_i(x)_c, log f_i(x)_c)            population covariance over models

f_i = softmax of model i. Range [0, inf), in nats; low = prototypical. Unlike `agr` it has no upper
bound: one model that calls the others' class impossible outweighs the rest.

The closed form is the double sum multiplied out. It is gathered one model at a time by Welford's
recurrence in float64, from log-softmax: nothing overflows or cancels, and M never enters memory. A
divergence between models is itself a spread over models, so there is no `spread` column.

Source: Carlini, Erlingsson & Papernot, "Prototypical Examples in Deep Learning: Metrics,
Characteristics, and Utility" (2019 submission; arXiv:1910.13427), section 2.1, which names both
symmetric KL and Jensen-Shannon: hence two metrics. Ours is the sum of both directions of KL.
Cost: M forward passes an example, O(M C) arithmetic; memory O(N C).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from scoring.spec import Batch, Columns, MetricSpec, Output, Passes, Signal


@dataclass(frozen=True, kw_only=True)
class Config:
    """Nothing to choose."""


@dataclass(frozen=True)
class _State:
    runs: int
    p: Tensor
    """[N, C] float64: mean probability."""
    log_p: Tensor
    """[N, C] float64: mean log-probability."""
    products: Tensor
    """[N] float64: sum over runs and classes of the product of both deviations."""


def start(config: Config, batch: Batch, classes: int) -> _State:
    """Begin with no model seen."""
    zeros = torch.zeros(len(batch.ids), classes, dtype=torch.float64)
    return _State(0, zeros, zeros, zeros.sum(dim=1))


def update(state: _State, output: Output) -> _State:
    """Add one model's softmax."""
    log_p = torch.log_softmax(output.logits.double(), dim=1).cpu()
    p = log_p.exp()
    runs = state.runs + 1
    mean_log_p = state.log_p + (log_p - state.log_p) / runs
    products = ((p - state.p) * (log_p - mean_log_p)).sum(dim=1)
    return _State(runs, state.p + (p - state.p) / runs, mean_log_p, state.products + products)


def finish(state: _State) -> Columns:
    """Mean over all ordered pairs of models, [N] float64."""
    if state.runs == 0:
        raise ValueError("agr_kl: expected outputs of at least one run, got none")
    return Columns(value=(2 * state.products / state.runs).clamp(min=0).numpy())


def passes(config: Config) -> Passes:
    """One forward pass of each model."""
    return Passes(forward=1)


METRIC = MetricSpec(
    name="agr_kl",
    summary="mean symmetric KL between independently trained models",
    version=1,
    signal=Signal.ENSEMBLE,
    config=Config,
    unit="nats",
    prototypical="low",
    source="Carlini et al. 2019, section 2.1",
    passes=passes,
    start=start,
    update=update,
    finish=finish,
)
