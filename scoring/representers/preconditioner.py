"""An approximate inverse of the Hessian, so that conjugate gradients need fewer steps.

    Hessian = 1/N sum_i P''(z_i) (x) f_i f_i^T + 2 lambda  ~  B (x) A + 2 lambda

with B [C, C] the mean of P''(z_i), and A [D, D] the mean of f_i f_i^T weighted by the traces of
P''(z_i). This treats the curvature of a row as independent of its features. The inverse of a
Kronecker product is the product of the factors' inverses.

Source: Martens & Grosse, "Optimizing Neural Networks with Kronecker-factored Approximate
Curvature", ICML 2015, arXiv:1503.05671, section 3; the weights are our addition.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from scoring.representers.losses import SuitableLoss


@dataclass(frozen=True)
class Factors:
    """Sums over some rows, from which A and B are computed."""

    features: Tensor
    """[D, D] float64: sum of f_i f_i^T times the trace of P''(z_i)."""
    outputs: Tensor
    """[C, C] float64: sum of P''(z_i)."""
    rows: int

    def __add__(self, other: "Factors") -> "Factors":
        """Add the sums over other rows."""
        return Factors(
            self.features + other.features, self.outputs + other.outputs, self.rows + other.rows
        )


@dataclass(frozen=True)
class Preconditioner:
    """(B (x) A + 2 lambda)^-1, in the eigenvectors of A and B."""

    features: Tensor
    """[D, D] eigenvectors of A, as columns."""
    outputs: Tensor
    """[C, C] eigenvectors of B, as columns."""
    eigenvalues: Tensor
    """[C, D] eigenvalues of B (x) A + 2 lambda."""

    def __call__(self, residual: Tensor) -> Tensor:
        """Multiply the inverse with a residual, both [C, D] float64."""
        rotated = self.outputs.T @ residual @ self.features
        return self.outputs @ (rotated / self.eigenvalues) @ self.features.T


def pays(rows: int, width: int, classes: int) -> bool:
    """Return whether the eigenvectors cost no more than a few products with the Hessian."""
    return max(width, classes) ** 3 <= rows * width * classes


def factors(features: Tensor, activations: Tensor, loss: SuitableLoss) -> Factors:
    """Sum over rows with features [n, D] and activations [n, C], both float32."""
    classes = activations.shape[1]
    outputs, traces = torch.empty(classes, classes), torch.zeros(len(activations))
    for c, unit in enumerate(torch.eye(classes)):
        column = loss.curvature(activations, unit)
        outputs[c] = column.sum(dim=0)
        traces += column[:, c]
    weighted = (features * traces[:, None]).T @ features
    return Factors(weighted.double(), outputs.double(), len(features))


def preconditioner(sums: Factors, penalty: float) -> Preconditioner:
    """Build the preconditioner from sums over rows; penalty = lambda."""
    trace = float(sums.outputs.trace()) or 1.0  # 0 only without curvature, where both sums are 0
    of_features, features = torch.linalg.eigh(sums.features / trace)
    of_outputs, outputs = torch.linalg.eigh(sums.outputs / sums.rows)
    eigenvalues = of_outputs.clamp(min=0)[:, None] * of_features.clamp(min=0) + 2 * penalty
    return Preconditioner(features=features, outputs=outputs, eigenvalues=eigenvalues)
