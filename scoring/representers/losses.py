"""Losses that suit an activation: their gradient vanishes exactly where it gives the targets.

    L(z, a) = P(z) - a . z,    dL/dz = s(z) - a,    s = grad P

z = outputs of a linear layer, s = the activation behind it, a = what the activation should give:
that of the layer as it was trained, or labels as one-hot rows. Convex in z.

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
    """(s(z), u) to P''(z) u, both [N, C]: what the Hessian does follows from s(z) alone."""

    def value(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """L of each row, [N]."""
        return self.potential(outputs) - (targets * outputs).sum(dim=1)


def _softmax_curvature(shares: Tensor, u: Tensor) -> Tensor:
    weighted = shares * u
    return weighted - shares * weighted.sum(dim=1, keepdim=True)


SOFTMAX = SuitableLoss(
    potential=lambda z: z.logsumexp(dim=1),
    activation=lambda z: z.softmax(dim=1),
    curvature=_softmax_curvature,
)
"""Cross-entropy, the entropy of the targets aside: for the last layer of a classifier."""

RELU = SuitableLoss(
    potential=lambda z: z.relu().square().sum(dim=1) / 2,
    activation=torch.relu,
    curvature=lambda active, u: u * (active > 0),
)
"""For a linear layer that a ReLU follows."""
