"""The decomposition of a layer at rest: alpha, and how exactly the parts add up to the whole."""

import hashlib
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from scoring.representers.losses import SuitableLoss
from scoring.representers.matrix import Matrix, block_rows, blocks


@dataclass(frozen=True, kw_only=True)
class LayerAtRest:
    """The weights W of a layer at rest, and what its alpha are computed from."""

    weights: Tensor
    """W [C, D] float64."""
    loss: SuitableLoss
    penalty: float
    """lambda."""
    rows: int
    """N, the training rows."""

    @property
    def fingerprint(self) -> str:
        """Hash of W: distinguishes layers that came to rest in slightly different places."""
        return hashlib.sha256(self.weights.numpy().tobytes()).hexdigest()

    def outputs(self, features: Tensor) -> Tensor:
        """Return W f_i for features [n, D]: [n, C] float64."""
        return features.double() @ self.weights.T

    def alpha(self, features: Tensor, targets: Tensor) -> Tensor:
        """Return alpha_i [n, C] float64 of training rows, from features [n, D], targets [n, C]."""
        pulls = self.loss.activation(self.outputs(features)) - targets.double()
        return pulls / (-2 * self.penalty * self.rows)


@dataclass(frozen=True, kw_only=True)
class Exactness:
    """How exactly the outputs of N rows are the sum of their parts."""

    residual: float
    """max |sum_i alpha_i (f_i . f_t) - W f_t| over rows and outputs."""
    pearson: float
    """Correlation of the activations that the parts give with the targets (Yeh et al., Fig. 1)."""
    mean_difference: float
    """Mean absolute difference between these activations and the targets."""


def recompose(layer: LayerAtRest, features: Matrix, targets: Matrix) -> Tensor:
    """Sum alpha_i f_i^T over the training rows: W [C, D] float64 again, from its parts."""
    total = torch.zeros_like(layer.weights)
    for block in blocks(layer.rows, block_rows(features.shape[1])):
        rows = torch.from_numpy(features[block])
        total += layer.alpha(rows, torch.from_numpy(targets[block])).T @ rows.double()
    return total


def measure_exactness(
    layer: LayerAtRest, parts: Tensor, features: Matrix, targets: Matrix
) -> Exactness:
    """Compare outputs summed from parts with the layer's own outputs and with the targets.

    Args:
        layer: the layer at rest.
        parts: [C, D] float64 from `recompose`.
        features: [N, D] of any rows, training or test.
        targets: [N, C] targets for their activations.
    """
    residual, moments, count = 0.0, torch.zeros(6, dtype=torch.float64), 0
    for block in blocks(features.shape[0], block_rows(features.shape[1])):
        rows = torch.from_numpy(features[block]).double()
        outputs = rows @ parts.T
        residual = max(residual, float((outputs - layer.outputs(rows)).abs().max()))
        a, b = layer.loss.activation(outputs), torch.from_numpy(targets[block]).double()
        sums = (a, b, a * a, b * b, a * b, (a - b).abs())
        moments += torch.stack([term.sum() for term in sums])
        count += a.numel()
    a, b, aa, bb, ab, difference = (moments / count).tolist()
    spread = math.sqrt(max(0.0, (aa - a * a) * (bb - b * b)))
    pearson = (ab - a * b) / spread if spread else math.nan
    return Exactness(residual=residual, pearson=pearson, mean_difference=difference)
