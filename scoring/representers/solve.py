"""The stationary layer: where Newton's method, with conjugate gradients inside, comes to rest.

    F(W) = 1/N sum_i L(W f_i, a_i) + lambda ||W||^2

f_i = features [D], a constant 1 among them where the layer has a bias; W [C, D]; L as in `losses`.
F is strongly convex. Its gradient is summed in float64, products with its Hessian in float32: they
only say where to step, the gradient says when to stop.

Rows pass in fixed blocks, several threads at a time, and sums are taken in the order of blocks: the
result does not depend on how many threads there are. A share of the rows leads near to where all of
them lead, at that share of the price, so that is where the last steps begin.

Source of the objective: Yeh et al. 2018, arXiv:1811.09720, section 3. Their own solver, gradient
descent with backtracking, stops where the decomposition is still far from exact: its error on a
logit is |gradient . f| / (2 lambda).
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from scoring.representers.losses import SuitableLoss
from scoring.representers.matrix import Matrix, block_rows, blocks
from scoring.representers.preconditioner import (
    Factors,
    Preconditioner,
    factors,
    pays,
    preconditioner,
)
from scoring.store.parallel import in_parallel

Made = TypeVar("Made")

SOLVER_VERSION = 2
"""Part of the name of a layer at rest: raised whenever the solver comes to rest elsewhere."""

_STEPS = 100  # of Newton; half a dozen is usual
_INNER_STEPS = 500  # of conjugate gradients
_ARMIJO = 1e-4
_TELLABLE = 1e-13  # relative: smaller differences of F drown in rounding
_THINNING = 8
_MOST_THINNED = 1 << 16  # rows, which are held
_FEW = 8192  # rows that need no start from fewer
_NEAR = 1e-5  # where the gradient of fewer rows ends: its own error is larger


@dataclass(frozen=True, kw_only=True)
class Point:
    """What F looks like at some weights."""

    weights: Tensor
    """[C, D] float64."""
    value: float
    gradient: Tensor
    """[C, D] float64."""
    activations: list[Tensor]
    """[n, C] float32 of each block, from which the Hessian follows."""

    @property
    def gradient_norm(self) -> float:
        """Largest absolute derivative."""
        return float(self.gradient.abs().max())


@dataclass(frozen=True, kw_only=True)
class Objective:
    """F on N rows."""

    features: Matrix
    """[N, D] float32."""
    targets: Matrix
    """[N, C] float32: what the activation behind the layer should give."""
    loss: SuitableLoss
    penalty: float
    """lambda."""
    threads: int = 1

    def at(self, weights: Tensor) -> Point:
        """Value and gradient at weights [C, D] float64: one pass over the rows."""
        rows = self.features.shape[0]
        value, gradient, activations = 0.0, torch.zeros_like(weights), []

        def of(block: slice) -> tuple[float, Tensor, Tensor]:
            features = self._features(block).double()
            targets = torch.from_numpy(self.targets[block]).double()
            outputs = features @ weights.T
            active = self.loss.activation(outputs)
            total = float(self.loss.value(outputs, targets).sum())
            return total, (active - targets).T @ features, active.float()

        for part, pull, active in self._each(of):
            value += part / rows
            gradient += pull / rows
            activations.append(active)
        return Point(
            weights=weights,
            value=value + self.penalty * float(weights.square().sum()),
            gradient=gradient + 2 * self.penalty * weights,
            activations=activations,
        )

    def product(self, point: Point, direction: Tensor) -> Tensor:
        """The Hessian at a point times a direction [C, D] float64: one pass over the rows."""
        rows, step = self.features.shape[0], direction.float()
        total = 2 * self.penalty * direction
        size = self._size()

        def of(block: slice) -> Tensor:
            features = self._features(block)
            active = point.activations[block.start // size]
            outputs = (step @ features.T).T  # a quarter faster than features @ step.T
            return self.loss.curvature(active, outputs).T @ features

        for pull in self._each(of):
            total = total + pull.double() / rows
        return total

    def preconditioner(self, point: Point) -> Preconditioner | None:
        """Of the Hessian at a point, from a share of the rows; None where it would not pay."""
        size = self._size()

        def of(block: slice) -> Factors:
            active = point.activations[block.start // size]
            return factors(self._features(block)[::_THINNING], active[::_THINNING], self.loss)

        rows, width = self.features.shape
        if not pays(rows, width, self.targets.shape[1]):
            return None
        return preconditioner(reduce(add, self._each(of)), self.penalty)

    def thinned(self) -> "Objective":
        """F on a share of the rows, evenly drawn and held in memory."""
        rows = self.features.shape[0]
        every = max(_THINNING, math.ceil(rows / _MOST_THINNED))

        def thin(matrix: Matrix) -> Matrix:
            kept = np.empty((math.ceil(rows / every), matrix.shape[1]), np.float32)
            for block in blocks(rows, self._size()):
                first = -block.start % every
                part = matrix[block][first::every]
                at = (block.start + first) // every
                kept[at : at + len(part)] = part
            return kept

        return replace(self, features=thin(self.features), targets=thin(self.targets))

    def _features(self, block: slice) -> Tensor:
        return torch.from_numpy(self.features[block])

    def _size(self) -> int:
        return block_rows(self.features.shape[1])

    def _each(self, of: Callable[[slice], Made]) -> Iterator[Made]:
        return in_parallel(of, blocks(self.features.shape[0], self._size()), self.threads)


def stationary(objective: Objective, start: Tensor | None = None, tolerance: float = 1e-9) -> Point:
    """Minimise F until its largest absolute derivative is at most `tolerance`.

    Args:
        objective: F.
        start: weights [C, D] to begin at; zeros where there are none.
        tolerance: of the gradient. Where float64 can do no better, the best there is.

    Returns:
        The last point.
    """
    rows, width = objective.features.shape
    if start is None:
        start = torch.zeros(objective.targets.shape[1], width)
    if rows > _FEW:
        start = stationary(objective.thinned(), start, max(tolerance, _NEAR)).weights
    point = objective.at(start.double())
    for _ in range(_STEPS):
        if point.gradient_norm <= tolerance:
            break
        ahead = _descended(objective, point, _newton_step(objective, point, tolerance))
        if ahead is None:
            break
        point = ahead
    return point


def _descended(objective: Objective, point: Point, step: Tensor) -> Point | None:
    """The point some way along a step that lies lower; None where rounding hides all descent."""
    slope, share = float((point.gradient * step).sum()), 1.0
    while -share * slope > _TELLABLE * abs(point.value):
        ahead = objective.at(point.weights + share * step)
        if ahead.value <= point.value + _ARMIJO * share * slope:
            return ahead
        share /= 2
    ahead = objective.at(point.weights + step)
    return ahead if ahead.gradient_norm < point.gradient_norm / 2 else None


def _newton_step(objective: Objective, point: Point, tolerance: float) -> Tensor:
    """Conjugate gradients on Hessian x step = -gradient, as exact as pays at this distance."""
    easier = objective.preconditioner(point) or torch.clone
    step, left = torch.zeros_like(point.gradient), -point.gradient
    direction = eased = easier(left)
    fall, square = float((left * eased).sum()), float(left.square().sum())
    # Superlinear convergence (Nocedal & Wright 2006, section 7.1), but no further than is wanted.
    enough = max(square * min(0.25, square**0.5), (tolerance / 3) ** 2)
    for _ in range(_INNER_STEPS):
        if square <= enough:
            break
        bent = objective.product(point, direction)
        length = fall / float((direction * bent).sum())
        step = step + length * direction
        left = left - length * bent
        square, eased = float(left.square().sum()), easier(left)
        before, fall = fall, float((left * eased).sum())
        direction = eased + fall / before * direction
    return step
