"""Self-influence: how strongly a training example pulls the last layer towards its own label.

    representer_self(x) = | alpha_y |,    alpha_y = -(s(z)_y - 1) / (2 lambda N),    y = label

z = logits of the base model with its last layer at rest under an L2 penalty lambda on N training
rows, with the labels as targets; s = softmax. alpha_y (f . f_t) is what the example adds to its
class's logit for any other example t. Range [0, 1 / (2 lambda N)]; low = prototypical. An example
of another split has no part in the layer: its value is the pull it would have. No label: NaN,
"unlabelled".

Source: Yeh, Kim, Yen & Ravikumar, "Representer Point Selection for Explaining Deep Neural
Networks", NeurIPS 2018, arXiv:1811.09720, sections 3.1 and 4.1 (training points in the order of
|alpha| to find wrong labels). Cost: one forward pass per example and, once per fleet, another one
for every training example and a convex problem in the weights of the last layer.
"""

from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from scoring.arrays import Floats, Ints
from scoring.spec import Batch, Columns, Fold, FoldedMetric, Output, Signal
from scoring.statuses import UNLABELLED


def own_alpha(logits: Tensor, labels: Ints, scale: float) -> Floats:
    """Return alpha_y of N examples, [N] float64, 0 where the label is -1.

    Args:
        logits: [N, C], of the layer at rest.
        labels: [N], -1 where unknown.
        scale: 1 / (2 lambda N).
    """
    probabilities = logits.double().softmax(dim=1).cpu().numpy()
    of_label = np.take_along_axis(probabilities, np.maximum(labels, 0)[:, None], axis=1)[:, 0]
    return np.where(labels < 0, 0.0, scale * (1 - of_label))


@dataclass(frozen=True)
class Pull:
    """The alpha of N examples."""

    labels: Ints
    alpha: Floats | None = None
    """[N] float64, of the label's class; None before the run is seen."""


@dataclass(frozen=True)
class SelfInfluence(Fold[Pull]):
    """Takes alpha from the logits of the layer at rest."""

    def start(self, config: object, batch: Batch, classes: int) -> Pull:
        """Return alpha before the run is seen."""
        return Pull(batch.labels)

    def update(self, state: Pull, output: Output) -> Pull:
        """Take the logits of the one run."""
        if output.alpha_scale is None:
            raise ValueError("representer_self: expected a layer at rest, got another run")
        return replace(state, alpha=own_alpha(output.logits, state.labels, output.alpha_scale))

    def finish(self, state: Pull) -> Columns:
        """Return |alpha_y|, [N] float64."""
        if state.alpha is None:
            raise ValueError("representer_self: expected outputs of at least one run, got none")
        unlabelled = state.labels < 0
        return Columns(
            value=np.where(unlabelled, np.nan, np.abs(state.alpha)),
            status=np.where(unlabelled, UNLABELLED, ""),
        )


METRIC = FoldedMetric(
    name="representer_self",
    summary="how strongly the example pulls the last layer towards its own label",
    purpose="label errors",
    version=1,
    unit="alpha",
    prototypical="low",
    source="Yeh et al. 2018, section 4.1",
    signal=Signal.REPRESENTER,
    fold=SelfInfluence(),
)
