"""Influence functions on a layer at rest, to compare representer values with.

    influence(i, t) = -grad L_t^T H^-1 grad L_i,     grad L_i = (s(W f_i) - a_i) f_i^T

H is the exact Hessian of F (`solve`). Above 0: more weight on training row i would raise the loss
of test row t. self-influence(i) = grad L_i^T H^-1 grad L_i.

Source: Koh & Liang, "Understanding Black-box Predictions via Influence Functions", ICML 2017,
arXiv:1703.04730, section 2; on the last layer alone, as in the comparison of Yeh et al. 2018
(section 4.1). Cost: H takes N D^2 C^2 products and D^2 C^2 numbers, its factor D^3 C^3 / 3.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from scoring.errors import UserError
from scoring.representers.matrix import blocks
from scoring.representers.solve import Iterate, Objective

_LARGEST = 16_384  # weights of a layer: its Hessian then takes 2 GB in float64
_BLOCK = 1024


class Influence:
    """The Hessian of a layer at rest, factored for products with its inverse."""

    def __init__(self, objective: Objective, point: Iterate) -> None:
        """Factor the Hessian at `point`.

        Raises:
            UserError: the layer has too many weights.
        """
        if point.weights.numel() > _LARGEST:
            raise UserError(
                f"influence: expected a layer of at most {_LARGEST:,} weights, "
                f"got {point.weights.numel():,}"
            )
        self._objective, self._weights = objective, point.weights
        self._factor = torch.linalg.cholesky(_hessian(objective, point))

    def on_test_rows(self, features: Tensor, pulls: Tensor) -> Iterator[Tensor]:
        """Compute the influence of the training rows on T test rows, block by block.

        Args:
            features: [T, D] of the test rows.
            pulls: [T, C] dL_t/dz = s(W f_t) - a_t, for the loss of interest.

        Yields:
            [n, T] float64 for each block of training rows, in order.
        """
        gradients = torch.einsum("tc,td->tcd", pulls.double(), features.double()).flatten(1)
        solved = torch.cholesky_solve(gradients.T, self._factor).T
        by_output = solved.reshape(-1, self._weights.shape[1])  # [T x C, D]
        for train_features, train_pulls in self._training_rows():
            moved = (train_features @ by_output.T).reshape(len(train_features), len(features), -1)
            yield -(moved * train_pulls.unsqueeze(1)).sum(dim=2)

    def self_influence(self) -> Tensor:
        """Return the self-influence of the training rows, [N] float64.

        High: without the row, its own loss would rise the most.
        """
        parts = []
        for features, pulls in self._training_rows():
            gradients = torch.einsum("nc,nd->ncd", pulls, features).flatten(1)
            halves = torch.linalg.solve_triangular(self._factor, gradients.T, upper=False)
            parts.append(halves.square().sum(dim=0))
        return torch.cat(parts)

    def _training_rows(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield features [n, D] and dL/dz [n, C] of the training rows, float64."""
        objective = self._objective
        for block in blocks(objective.features.shape[0], _BLOCK):
            features = torch.from_numpy(objective.features[block]).double()
            targets = torch.from_numpy(objective.targets[block]).double()
            yield features, objective.loss.activation(features @ self._weights.T) - targets


def _hessian(objective: Objective, point: Iterate) -> Tensor:
    """Return the Hessian [CD, CD] float64."""
    classes, width = point.weights.shape
    total = torch.zeros(classes, width, classes, width, dtype=torch.float64)
    unit = torch.eye(classes, dtype=torch.float64)
    rows = objective.features.shape[0]
    for block in blocks(rows, _BLOCK):
        features = torch.from_numpy(objective.features[block]).double()
        active = objective.loss.activation(features @ point.weights.T)
        for c in range(classes):
            curvature = objective.loss.curvature(active, unit[c].expand_as(active))
            for d in range(c, classes):
                total[c, :, d] += (features * curvature[:, d, None]).T @ features
    for c in range(classes):
        for d in range(c):
            total[c, :, d] = total[d, :, c].T
    flat = total.reshape(classes * width, -1) / rows
    return flat + 2 * objective.penalty * torch.eye(len(flat), dtype=torch.float64)
