"""The decomposition of a stationary layer: alpha, and the proof that parts make up the whole."""

import hashlib
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from scoring.representers.losses import SuitableLoss
from scoring.representers.matrix import Matrix, block_rows, blocks


@dataclass(frozen=True, kw_only=True)
class StationaryLayer:
    """W at rest, and what its alpha follow from."""

    weights: Tensor
    """W [C, D] float64."""
    loss: SuitableLoss
    penalty: float
    """lambda."""
    rows: int
    """N: how many rows F is a mean of."""

    @property
    def fingerprint(self) -> str:
        """Of W: tells layers apart that came to rest in slightly different places."""
        return hashlib.sha256(self.weights.numpy().tobytes()).hexdigest()

    def outputs(self, features: Tensor) -> Tensor:
        """W f_i: [n, D] to [n, C] float64."""
        return features.double() @ self.weights.T

    def alpha(self, features: Tensor, targets: Tensor) -> Tensor:
        """alpha_i of training rows with features [n, D] and targets [n, C]: [n, C] float64."""
        pulls = self.loss.activation(self.outputs(features)) - targets.double()
        return pulls / (-2 * self.penalty * self.rows)


@dataclass(frozen=True, kw_only=True)
class Proof:
    """How exactly the outputs of N rows are the sum of their parts."""

    residual: float
    """max |sum_i alpha_i (f_i . f_t) - W f_t| over rows and outputs."""
    pearson: float
    """Correlation of the activations that the parts give with the targets (Yeh et al., Fig. 1)."""
    mean_difference: float
    """Mean absolute difference of these."""


def recomposed(layer: StationaryLayer, features: Matrix, targets: Matrix) -> Tensor:
    """sum_i alpha_i f_i^T over the training rows, [C, D] float64: W once more, from its parts."""
    total = torch.zeros_like(layer.weights)
    for block in blocks(layer.rows, block_rows(features.shape[1])):
        rows = torch.from_numpy(features[block])
        total += layer.alpha(rows, torch.from_numpy(targets[block])).T @ rows.double()
    return total


def proof(layer: StationaryLayer, parts: Tensor, features: Matrix, targets: Matrix) -> Proof:
    """Compare `recomposed` outputs with those of the layer, and with the targets, on any rows."""
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
    return Proof(residual=residual, pearson=pearson, mean_difference=difference)
