"""The norms that perturbations are measured in, and nearest points of planes in a box."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Norm:
    """A norm, and how a boundary race is run in it."""

    order: float
    along: Callable[[Tensor], Tensor]
    """Direction of the smallest step that raises a linear function by a given amount."""
    pull: float
    """c of the weight c / (k + c) that step k = 1, 2, ... gives the plane it has just seen."""
    momentum: tuple[float, float]
    """Share of the last step that is taken again, in the first step and after the last."""

    def size(self, deltas: Tensor) -> Tensor:
        """Norm [L] of perturbations [L, P]."""
        sizes: Tensor = torch.linalg.vector_norm(deltas, self.order, dim=1)
        return sizes

    def nearest(self, normals: Tensor, offsets: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """Smallest u [L, P] with normal . u = offset and low <= u <= high.

        u = clip(m along(normal)) for one multiplier m: normal . u grows with m in straight pieces.
        One Newton step from where no pixel is clipped leaves a point short of a plane that clips
        many more, which the next plane makes up for; so does a plane out of the box's reach.

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
    """Inner product of each row, [L]."""
    products: Tensor = torch.linalg.vecdot(a, b)
    return products


def column(values: Tensor) -> Tensor:
    """[L] as [L, 1], to scale rows by."""
    return values.unsqueeze(1)


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    """Above / below, 0 where below is."""
    return torch.where(below > 0, above / below, 0)
