"""The norms in which perturbations are measured, and the nearest points of planes in a box."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Norm:
    """A norm, and the settings of a boundary race in it."""

    order: float
    along: Callable[[Tensor], Tensor]
    """Direction of the smallest step that raises a linear function by a given amount."""
    pull: float
    """c in the weight c / (k + c) that step k = 1, 2, ... gives to its newly estimated plane."""
    momentum: tuple[float, float]
    """Share of the last step to repeat: in the first step, and the limit after the last."""

    def size(self, deltas: Tensor) -> Tensor:
        """Return the norm [L] of perturbations [L, P]."""
        sizes: Tensor = torch.linalg.vector_norm(deltas, self.order, dim=1)
        return sizes

    def nearest(self, normals: Tensor, offsets: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """Find the smallest u [L, P] with normal . u = offset and low <= u <= high.

        u = clip(m along(normal)) for a single multiplier m, in which normal . u is piecewise
        linear. We take one Newton step from the m that would be right without clipping. If that
        step clips many more pixels, u ends short of the plane, as it does if the box does not reach
        the plane; the next plane of the race makes up for it.

        Args:
            normals: [L, P].
            offsets: [L].
            low: [L, P], at most 0.
            high: [L, P], at least 0.
        """
        along = self.along(normals)
        m = _ratio(offsets, dot(normals, along))
        straight = column(m) * along
        u = torch.clamp(straight, low, high)
        free = torch.where(u == straight, along, 0)
        m = m + _ratio(offsets - dot(normals, u), dot(normals, free))
        return torch.clamp(column(m) * along, low, high)


L2 = Norm(order=2, along=lambda normals: normals, pull=2, momentum=(0.8, 0.3))
LINF = Norm(order=math.inf, along=torch.sign, pull=3, momentum=(0.3, 0.3))


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Return the inner product of each pair of rows, [L]."""
    products: Tensor = torch.linalg.vecdot(a, b)
    return products


def column(values: Tensor) -> Tensor:
    """View [L] as [L, 1], to scale rows by."""
    return values.unsqueeze(1)


def _ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Divide, with 0 where the denominator is 0."""
    return torch.where(denominator > 0, numerator / denominator, 0)
