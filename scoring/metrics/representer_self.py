"""Self-influence: how hard a training example pulls the last layer towards its own label.

    representer_self(x) = | alpha_y |,    alpha_y = -(s(z)_y - 1) / (2 lambda N),    y = label

z = logits of the base model once its last layer is at rest under an L2 penalty lambda on N training
rows, with the labels as targets; s = softmax. alpha_y (f . f_t) is what the example adds to its
class's logit of any other example t. Range [0, 1 / (2 lambda N)]; low = prototypical. An example
of another split is no part of the layer: its value is the pull that it would have. No label: NaN,
"unlabelled".

Source: Yeh, Kim, Yen & Ravikumar, "Representer Point Selection for Explaining Deep Neural
Networks", NeurIPS 2018, arXiv:1811.09720, sections 3.1 and 4.1 (training points in the order of
|alpha| to find wrong labels). Cost: one forward pass, and once a fleet one more of every training
example and a convex problem in the last layer's weights.
"""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from scoring.arrays import Floats, Ints
from scoring.spec import Batch, Columns, MetricSpec, Output, Passes, Signal

UNLABELLED = "unlabelled"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Nothing to choose."""


@dataclass(frozen=True)
class _State:
    labels: Ints
    alpha: Floats
    """[N] float64: of the label's class."""


def own_alpha(logits: Tensor, labels: Ints, scale: float) -> Floats:
    """alpha_y of N examples, [N] float64, 0 where the label is -1.

    Args:
        logits: [N, C], of the layer at rest.
        labels: [N], -1 where unknown.
        scale: 1 / (2 lambda N).
    """
    shares = logits.double().softmax(dim=1).cpu().numpy()
    of_label = np.take_along_axis(shares, np.maximum(labels, 0)[:, None], axis=1)[:, 0]
    return np.where(labels < 0, 0.0, scale * (1 - of_label))


def start(config: Config, batch: Batch, classes: int) -> _State:
    """Begin with no run seen."""
    return _State(batch.labels, np.zeros(len(batch.labels)))


def update(state: _State, output: Output) -> _State:
    """Take the one run's logits."""
    if output.alpha_scale is None:
        raise ValueError("representer_self: expected a layer at rest, got another run")
    return _State(state.labels, own_alpha(output.logits, state.labels, output.alpha_scale))


def finish(state: _State) -> Columns:
    """|alpha_y|, [N] float64."""
    unlabelled = state.labels < 0
    return Columns(
        value=np.where(unlabelled, np.nan, np.abs(state.alpha)),
        status=np.where(unlabelled, UNLABELLED, ""),
    )


def passes(config: Config) -> Passes:
    """One forward pass."""
    return Passes(forward=1)


METRIC = MetricSpec(
    name="representer_self",
    summary="how hard the example pulls the last layer towards its own label",
    version=1,
    signal=Signal.REPRESENTER,
    config=Config,
    unit="alpha",
    prototypical="low",
    source="Yeh et al. 2018, section 4.1",
    passes=passes,
    start=start,
    update=update,
    finish=finish,
)
