"""Ensemble agreement by symmetric KL: how far apart the log-probabilities of models are as well.

    agr_kl(x) = (1/M^2) sum_ij KL(f_i(x), f_j(x)) + KL(f_j(x), f_i(x))
              = 2 sum_c Cov_i(f_i(x)_c, log f_i(x)_c)            population covariance over models

f_i = softmax of model i. Range [0, inf), in nats; low = prototypical. Unlike `agr` it has no upper
bound: one model that calls the others' class impossible outweighs the rest.

The closed form is the double sum multiplied out. Welford's recurrence gathers it one model at a
time, in float64 and from log-softmax: nothing overflows or cancels, and memory does not grow with
M. A divergence between models is itself a spread over models, so there is no `spread` column.

Source: Carlini, Erlingsson & Papernot, "Prototypical Examples in Deep Learning: Metrics,
Characteristics, and Utility" (2019 submission; arXiv:1910.13427), section 2.1, which names both
symmetric KL and Jensen-Shannon: hence two metrics. Ours is the sum of both directions of KL. Cost:
M forward passes per example, O(M C) arithmetic; memory O(N C).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from scoring.folds.moments import next_mean
from scoring.spec import Batch, Columns, Fold, FoldedMetric, Output, Signal


@dataclass(frozen=True)
class Covariance:
    """Covariance of p and log p over the models so far, summed over classes."""

    models: int
    p: Tensor
    """[N, C] float64, mean probability."""
    log_p: Tensor
    """[N, C] float64, mean log-probability."""
    products: Tensor
    """[N] float64, sum over models and classes of the product of both deviations."""

    def add(self, log_p: Tensor) -> "Covariance":
        """Return the covariance with one more model, [N, C] float64."""
        p, models = log_p.exp(), self.models + 1
        mean_log_p = next_mean(self.log_p, log_p, models)
        products = ((p - self.p) * (log_p - mean_log_p)).sum(dim=1)
        mean_p = next_mean(self.p, p, models)
        return Covariance(models, mean_p, mean_log_p, self.products + products)


@dataclass(frozen=True)
class MeanDivergence(Fold[Covariance]):
    """Mean symmetric KL over all ordered pairs of models."""

    def start(self, config: object, batch: Batch, classes: int) -> Covariance:
        """Return the covariance over no model."""
        zeros = torch.zeros(len(batch.ids), classes, dtype=torch.float64)
        return Covariance(0, zeros, zeros, zeros.sum(dim=1))

    def update(self, state: Covariance, output: Output) -> Covariance:
        """Add one model."""
        return state.add(torch.log_softmax(output.logits.double(), dim=1).cpu())

    def finish(self, state: Covariance) -> Columns:
        """Return twice the covariance, [N] float64."""
        if state.models == 0:
            raise ValueError("agr_kl: expected outputs of at least one run, got none")
        return Columns(value=(2 * state.products / state.models).clamp(min=0).numpy())


METRIC = FoldedMetric(
    name="agr_kl",
    summary="mean symmetric KL between independently trained models",
    purpose="atypical",
    version=1,
    unit="nats",
    prototypical="low",
    source="Carlini et al. 2019, section 2.1",
    signal=Signal.ENSEMBLE,
    fold=MeanDivergence(),
)
