"""Confidence: how sure independently trained models are of their answer.

    conf(x) = (1/M) sum_i max_c f_i(x)_c                      f_i = softmax of model i

Range [1/C, 1]; high = prototypical. The label plays no part: models that are sure and wrong count
as sure. `spread` is the population standard deviation over models.

Source: Carlini, Erlingsson & Papernot, "Prototypical Examples in Deep Learning: Metrics,
Characteristics, and Utility" (2019 submission; arXiv:1910.13427), section 2.1. We differ: nothing.
Cost: M forward passes an example; memory O(N).
"""

from dataclasses import dataclass

import torch

from scoring.folds.moments import Moments
from scoring.spec import Batch, Columns, MetricSpec, Output, Passes, Signal


@dataclass(frozen=True, kw_only=True)
class Config:
    """Nothing to choose."""


def start(config: Config, batch: Batch, classes: int) -> Moments:
    """Begin with no model seen."""
    return Moments.of(len(batch.ids))


def update(state: Moments, output: Output) -> Moments:
    """Add one model's confidence in its own answer."""
    confidence = torch.softmax(output.logits.double(), dim=1).amax(dim=1)  # [N]
    return state.add(confidence.cpu().numpy())


def finish(state: Moments) -> Columns:
    """Mean and spread over models, [N] float64 each."""
    return Columns(value=state.mean(), spread=state.std())


def passes(config: Config) -> Passes:
    """One forward pass of each model."""
    return Passes(forward=1)


METRIC = MetricSpec(
    name="conf",
    summary="mean confidence of independently trained models",
    version=1,
    signal=Signal.ENSEMBLE,
    config=Config,
    unit="probability",
    prototypical="high",
    source="Carlini et al. 2019, section 2.1",
    passes=passes,
    start=start,
    update=update,
    finish=finish,
)
