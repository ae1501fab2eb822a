"""An approximate inverse of the Hessian, with which conjugate gradients need fewer steps.

    Hessian = 1/N sum_i P''(z_i) (x) f_i f_i^T + 2 lambda  ~  B (x) A + 2 lambda

with B [C, C] the mean of P''(z_i) and A [D, D] the mean of f_i f_i^T, weighted by the traces of
P''(z_i): as if the curvature of a row said nothing of its features. The inverse of a Kronecker
product is that of its factors.

Source: Martens & Grosse, "Optimizing Neural Networks with Kronecker-factored Approximate
Curvature", ICML 2015, arXiv:1503.05671, section 3; the weights are ours.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from scoring.representers.losses import SuitableLoss


@dataclass(frozen=True)
class Factors:
    """Sums over some rows, of which A and B are means."""

    features: Tensor
    """[D, D] float64: f_i f_i^T, each times the trace of P''(z_i)."""
    outputs: Tensor
    """[C, C] float64: P''(z_i)."""
    rows: int

    def __add__(self, other: "Factors") -> "Factors":
        """Over the rows of both."""
        return Factors(
            self.features + other.features, self.outputs + other.outputs, self.rows + other.rows
        )


@dataclass(frozen=True)
class Preconditioner:
    """(B (x) A + 2 lambda)^-1, by the eigenvectors of A and B."""

    features: Tensor
    """[D, D]: the eigenvectors of A, as columns."""
    outputs: Tensor
    """[C, C]: those of B."""
    eigenvalues: Tensor
    """[C, D]: of B (x) A + 2 lambda."""

    def __call__(self, residual: Tensor) -> Tensor:
        """The inverse times a residual, both [C, D] float64."""
        turned = self.outputs.T @ residual @ self.features
        return self.outputs @ (turned / self.eigenvalues) @ self.features.T


def pays(rows: int, width: int, classes: int) -> bool:
    """Whether the eigenvectors cost no more than a few products with the Hessian do."""
    return max(width, classes) ** 3 <= rows * width * classes


def factors(features: Tensor, activations: Tensor, loss: SuitableLoss) -> Factors:
    """Of rows of features [n, D] and activations [n, C], both float32."""
    classes = activations.shape[1]
    outputs, traces = torch.empty(classes, classes), torch.zeros(len(activations))
    for c, unit in enumerate(torch.eye(classes)):
        column = loss.curvature(activations, unit)
        outputs[c] = column.sum(dim=0)
        traces += column[:, c]
    weighted = (features * traces[:, None]).T @ features
    return Factors(weighted.double(), outputs.double(), len(features))


def preconditioner(sums: Factors, penalty: float) -> Preconditioner:
    """From the sums over all rows that are looked at; penalty = lambda."""
    trace = float(sums.outputs.trace()) or 1.0  # no row bends: then both sums are zero
    bends, features = torch.linalg.eigh(sums.features / trace)
    weights, outputs = torch.linalg.eigh(sums.outputs / sums.rows)
    eigenvalues = weights.clamp(min=0)[:, None] * bends.clamp(min=0) + 2 * penalty
    return Preconditioner(features=features, outputs=outputs, eigenvalues=eigenvalues)
