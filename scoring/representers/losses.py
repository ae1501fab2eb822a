"""Losses that suit an activation: their minimum is where the activation equals its targets.

    L(z, a) = P(z) - a . z,    dL/dz = s(z) - a,    s = grad P

z are the outputs of a linear layer, s is the activation after it, and a its targets: the
activations of the layer as it was trained, or labels as one-hot rows. L is convex in z.

Source: Yeh, Kim, Yen & Ravikumar, "Representer Point Selection for Explaining Deep Neural
Networks", NeurIPS 2018, arXiv:1811.09720, Proposition 3.1 and the two losses that follow it:
L_softmax with P = log-sum-exp, L_ReLU with P = 1/2 max(z, 0)^2.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class SuitableLoss:
    """P, its gradient and its Hessian, row by row."""

    potential: Callable[[Tensor], Tensor]
    """P(z): [N, C] to [N]."""
    activation: Callable[[Tensor], Tensor]
    """s(z): [N, C] to [N, C]."""
    curvature: Callable[[Tensor, Tensor], Tensor]
    """(s(z), u) to P''(z) u, both [N, C]: the Hessian depends on z through s(z) alone."""

    def value(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return L of each row, [N]."""
        return self.potential(outputs) - (targets * outputs).sum(dim=1)


def _softmax_curvature(shares: Tensor, u: Tensor) -> Tensor:
    weighted = shares * u
    return weighted - shares * weighted.sum(dim=1, keepdim=True)


SOFTMAX = SuitableLoss(
    potential=lambda z: z.logsumexp(dim=1),
    activation=lambda z: z.softmax(dim=1),
    curvature=_softmax_curvature,
)
"""Cross-entropy minus the entropy of the targets: for the last layer of a classifier."""

RELU = SuitableLoss(
    potential=lambda z: z.relu().square().sum(dim=1) / 2,
    activation=torch.relu,
    curvature=lambda active, u: u * (active > 0),
)
"""For a linear layer followed by a ReLU."""
