"""Small layers at rest for tests."""

import numpy as np
import torch

from scoring.arrays import Floats32
from scoring.representers.decomposition import LayerAtRest
from scoring.representers.losses import SOFTMAX, SuitableLoss
from scoring.representers.solve import Objective, minimise


def problem(
    rows: int = 300,
    width: int = 6,
    classes: int = 3,
    *,
    loss: SuitableLoss = SOFTMAX,
    penalty: float = 0.01,
    seed: int = 0,
) -> Objective:
    """Random features after a ReLU, a constant 1 last, and the targets of a random teacher."""
    draws = np.random.default_rng(seed)
    features = np.maximum(draws.standard_normal((rows, width)), 0).astype(np.float32)
    features[:, -1] = 1
    outputs = features @ draws.standard_normal((width, classes)).astype(np.float32)
    targets = loss.activation(torch.from_numpy(outputs)).numpy()
    return Objective(features=features, targets=targets, loss=loss, penalty=penalty)


def at_rest(objective: Objective, tolerance: float = 1e-12) -> LayerAtRest:
    """The layer at the minimum of the objective."""
    return LayerAtRest(
        weights=minimise(objective, tolerance=tolerance).weights,
        loss=objective.loss,
        penalty=objective.penalty,
        rows=objective.features.shape[0],
    )


def alpha_of(objective: Objective, layer: LayerAtRest) -> np.ndarray:
    """The alpha of all training rows, [N, C] float64."""
    features, targets = (torch.from_numpy(m[:]) for m in (objective.features, objective.targets))
    return layer.alpha(features, targets).numpy()


def twice(rows: Floats32) -> Floats32:
    """Every row twice: first all rows, then all again."""
    return np.concatenate([rows, rows])
