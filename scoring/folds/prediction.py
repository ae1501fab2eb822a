"""The predicted class: argmax of the models' mean softmax.

    predicted(x) = argmax_c (1/M) sum_i f_i(x)_c

It is folded like a metric, because it needs the same outputs, but it is a column of every table and
not a table of its own. Equal means: the lower class. Cost: M forward passes an example, shared with
every metric that folds the same models.
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
    total: Tensor
    """[N, C] float64 on the CPU: sum of the softmax of the models so far."""


def start(config: Config, batch: Batch, classes: int) -> _State:
    """Begin with no model seen."""
    return _State(torch.zeros(len(batch.ids), classes, dtype=torch.float64))


def update(state: _State, output: Output) -> _State:
    """Add one model's softmax."""
    return _State(state.total + torch.softmax(output.logits.double(), dim=1).cpu())


def finish(state: _State) -> Columns:
    """The class of the largest mean, [N] float64."""
    return Columns(value=state.total.argmax(dim=1).double().numpy())


def passes(config: Config) -> Passes:
    """One forward pass of each model."""
    return Passes(forward=1)


PREDICTED = MetricSpec(
    name="predicted",
    summary="class that the models predict together",
    version=1,
    signal=Signal.ENSEMBLE,
    config=Config,
    unit="class",
    prototypical="high",
    source="Carlini et al. 2019, section 2.1",
    passes=passes,
    start=start,
    update=update,
    finish=finish,
    published=False,
)
