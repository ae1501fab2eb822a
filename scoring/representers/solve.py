"""Bring a layer to rest: Newton's method with conjugate gradients.

    F(W) = 1/N sum_i L(W f_i, a_i) + lambda ||W||^2

f_i are features [D], with a constant 1 if the layer has a bias; W is [C, D]; L as in `losses`. F is
strongly convex. Its gradient is summed in float64. Products with its Hessian are in float32, which
is enough to choose a step, because the gradient decides when to stop.

Rows are processed in fixed blocks, on several threads, and partial sums are added in the order of
the blocks, so the order in which threads finish does not matter. (`OMP_NUM_THREADS` still does: the
products within a block round by it, which moves alpha in its tenth digit.) A sample of the rows
leads close to the minimum at a fraction of the cost, so the last steps start from its minimum.

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

Result = TypeVar("Result")

SOLVER_VERSION = 2
"""Part of the key of a layer at rest: raise it whenever the solver comes to rest elsewhere."""

_STEPS = 100  # of Newton's method; half a dozen is usual
_INNER_STEPS = 500  # of conjugate gradients
_ARMIJO = 1e-4
_ROUNDING = 1e-13  # relative; smaller differences of F are lost in rounding
_THINNING = 8
_MOST_THINNED = 1 << 16  # rows of the sample, which is in memory
_FEW = 8192  # no more rows than this need no start from a sample
_NEAR = 1e-5  # tolerance on the sample; its own error is larger


@dataclass(frozen=True, kw_only=True)
class Iterate:
    """F and its derivatives at some weights."""

    weights: Tensor
    """[C, D] float64."""
    value: float
    gradient: Tensor
    """[C, D] float64."""
    activations: list[Tensor]
    """[n, C] float32 for each block; they determine the Hessian."""

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
    """[N, C] float32 targets for the activation after the layer."""
    loss: SuitableLoss
    penalty: float
    """lambda."""
    threads: int = 1

    def at(self, weights: Tensor) -> Iterate:
        """Compute value and gradient at weights [C, D] float64: one pass over the rows."""
        rows = self.features.shape[0]
        value, gradient, activations = 0.0, torch.zeros_like(weights), []

        def sum_block(block: slice) -> tuple[float, Tensor, Tensor]:
            features = self._features(block).double()
            targets = torch.from_numpy(self.targets[block]).double()
            outputs = features @ weights.T
            active = self.loss.activation(outputs)
            total = float(self.loss.value(outputs, targets).sum())
            return total, (active - targets).T @ features, active.float()

        for part, pull, active in self._for_blocks(sum_block):
            value += part / rows
            gradient += pull / rows
            activations.append(active)
        return Iterate(
            weights=weights,
            value=value + self.penalty * float(weights.square().sum()),
            gradient=gradient + 2 * self.penalty * weights,
            activations=activations,
        )

    def product(self, point: Iterate, direction: Tensor) -> Tensor:
        """Multiply the Hessian at a point with [C, D] float64: one pass over the rows."""
        rows, step = self.features.shape[0], direction.float()
        total = 2 * self.penalty * direction
        size = self._block_size()

        def multiply_block(block: slice) -> Tensor:
            features = self._features(block)
            active = point.activations[block.start // size]
            outputs = (step @ features.T).T  # a quarter faster than features @ step.T
            return self.loss.curvature(active, outputs).T @ features

        for pull in self._for_blocks(multiply_block):
            total = total + pull.double() / rows
        return total

    def preconditioner(self, point: Iterate) -> Preconditioner | None:
        """Approximate the inverse Hessian from a sample of the rows; None if it would not pay."""
        size = self._block_size()

        def block_factors(block: slice) -> Factors:
            active = point.activations[block.start // size]
            return factors(self._features(block)[::_THINNING], active[::_THINNING], self.loss)

        rows, width = self.features.shape
        if not pays(rows, width, self.targets.shape[1]):
            return None
        return preconditioner(reduce(add, self._for_blocks(block_factors)), self.penalty)

    def thinned(self) -> "Objective":
        """Return F on every n-th row, held in memory."""
        rows = self.features.shape[0]
        every = max(_THINNING, math.ceil(rows / _MOST_THINNED))

        def thin(matrix: Matrix) -> Matrix:
            kept = np.empty((math.ceil(rows / every), matrix.shape[1]), np.float32)
            for block in blocks(rows, self._block_size()):
                first = -block.start % every
                part = matrix[block][first::every]
                at = (block.start + first) // every
                kept[at : at + len(part)] = part
            return kept

        return replace(self, features=thin(self.features), targets=thin(self.targets))

    def _features(self, block: slice) -> Tensor:
        return torch.from_numpy(self.features[block])

    def _block_size(self) -> int:
        return block_rows(self.features.shape[1])

    def _for_blocks(self, work: Callable[[slice], Result]) -> Iterator[Result]:
        return in_parallel(work, blocks(self.features.shape[0], self._block_size()), self.threads)


def minimise(objective: Objective, start: Tensor | None = None, tolerance: float = 1e-9) -> Iterate:
    """Minimise F until its largest absolute derivative is at most `tolerance`.

    Args:
        objective: F.
        start: weights [C, D] to start from; None: zeros.
        tolerance: largest absolute derivative allowed. Minimisation also ends where float64 allows
            no further progress.

    Returns:
        The last iterate.
    """
    rows, width = objective.features.shape
    if start is None:
        start = torch.zeros(objective.targets.shape[1], width)
    if rows > _FEW:
        start = minimise(objective.thinned(), start, max(tolerance, _NEAR)).weights
    point = objective.at(start.double())
    for _ in range(_STEPS):
        if point.gradient_norm <= tolerance:
            break
        ahead = _line_search(objective, point, _newton_step(objective, point, tolerance))
        if ahead is None:
            break
        point = ahead
    return point


def _line_search(objective: Objective, point: Iterate, step: Tensor) -> Iterate | None:
    """Go along a step to a lower point; None if rounding hides every descent."""
    slope, share = float((point.gradient * step).sum()), 1.0
    while -share * slope > _ROUNDING * abs(point.value):
        ahead = objective.at(point.weights + share * step)
        if ahead.value <= point.value + _ARMIJO * share * slope:
            return ahead
        share /= 2
    ahead = objective.at(point.weights + step)
    return ahead if ahead.gradient_norm < point.gradient_norm / 2 else None


def _newton_step(objective: Objective, point: Iterate, tolerance: float) -> Tensor:
    """Solve Hessian x step = -gradient by conjugate gradients, as exactly as pays off here."""
    precondition = objective.preconditioner(point) or torch.clone
    step, residual = torch.zeros_like(point.gradient), -point.gradient
    direction = preconditioned = precondition(residual)
    fall, square = float((residual * preconditioned).sum()), float(residual.square().sum())
    # Superlinear convergence (Nocedal & Wright 2006, section 7.1), but no further than `tolerance`.
    enough = max(square * min(0.25, square**0.5), (tolerance / 3) ** 2)
    for _ in range(_INNER_STEPS):
        if square <= enough:
            break
        curved = objective.product(point, direction)
        length = fall / float((direction * curved).sum())
        step = step + length * direction
        residual = residual - length * curved
        square, preconditioned = float(residual.square().sum()), precondition(residual)
        before, fall = fall, float((residual * preconditioned).sum())
        direction = preconditioned + fall / before * direction
    return step
