"""VoG of a net in the plane, where the distance to the decision boundary can be measured.

Agarwal, D'souza & Hooker, "Estimating Example Difficulty using Variance of Gradients", CVPR 2022,
arXiv:2008.11600, Figure 1: two clusters, a small net that separates them, and VoG highest for the
points near the boundary. A point is treated as an image of one row and two columns.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import KDTree
from scipy.stats import spearmanr
from torch import nn

from scoring.analysis.seeds import findings_by_seed
from scoring.arrays import Floats, Ints
from scoring.folds.gradients import GradientVariance
from scoring.score.trajectories import observe
from scoring.spec import Batch, Checkpoint
from scoring.tables.findings import Finding

_EPOCHS, _BATCH, _UNITS = 15, 16, 10
_GRID = 1000  # points on each side of the grid on which the boundary is located


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """N test points of a net in the plane, and their VoG."""

    points: Floats
    """[N, 2] in [0, 1]."""
    labels: Ints
    """[N], 0 or 1."""
    vog: Floats
    """[N]."""
    distance: Floats
    """[N] L2 distance to the nearest point that the net assigns to the other class."""
    accuracy: float
    """Accuracy of the net on the N points."""


def experiment(seed: int, rows: int = 500) -> Experiment:
    """Train a net on `rows` points of two overlapping clusters, and score as many test points."""
    random = np.random.default_rng(seed)
    points, labels = _clusters(random, rows)
    test_points, test_labels = _clusters(random, rows)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Flatten(), nn.Linear(2, _UNITS), nn.ReLU(), nn.Linear(_UNITS, 2))
        vog = _train(net, points, labels, test_points, test_labels)
    with torch.inference_mode():
        right = net(_images(test_points)).argmax(dim=1).numpy() == test_labels
    return Experiment(
        points=test_points,
        labels=test_labels,
        vog=vog,
        distance=_distance(net, test_points),
        accuracy=float(right.mean()),
    )


def findings(experiments: dict[int, Experiment]) -> list[Finding]:
    """Report how VoG relates to the distance to the boundary.

    Args:
        experiments: seed to its experiment.

    Returns:
        `spearman` in [-1, 1], negative if VoG is higher near the boundary; `vog_near` and
        `vog_far`, means over the tenths of the points nearest to and farthest from the boundary;
        `accuracy`. For each seed and, as part "all", means with standard deviations.
    """
    rows = len(next(iter(experiments.values())).vog)
    numbers = {seed: _numbers(result) for seed, result in experiments.items()}
    return findings_by_seed("vog", numbers, rows)


def _numbers(result: Experiment) -> dict[str, float]:
    order = np.argsort(result.distance)
    tenth = max(1, len(order) // 10)
    return {
        "spearman": float(spearmanr(result.vog, result.distance).statistic),
        "vog_near": float(result.vog[order[:tenth]].mean()),
        "vog_far": float(result.vog[order[-tenth:]].mean()),
        "accuracy": result.accuracy,
    }


def _clusters(random: np.random.Generator, rows: int) -> tuple[Floats, Ints]:
    labels = np.arange(rows) % 2
    centres = np.where(labels[:, None] == 0, [0.35, 0.35], [0.65, 0.65])
    points = centres + random.normal(scale=0.1, size=(rows, 2))
    return np.clip(points, 0, 1), labels


def _images(points: Floats) -> torch.Tensor:
    """Turn points [N, 2] into images [N, 1, 1, 2]."""
    return torch.from_numpy(points).float().reshape(len(points), 1, 1, 2)


def _train(
    net: nn.Sequential, points: Floats, labels: Ints, test_points: Floats, test_labels: Ints
) -> Floats:
    """Train the net; return the VoG [N] of the test points over the epochs."""
    batch = Batch(ids=np.arange(len(test_points)), labels=test_labels, inputs=_images(test_points))
    fold = GradientVariance("label")
    state = fold.start(None, batch, classes=2)
    images, classes = _images(points), torch.from_numpy(labels)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for epoch in range(1, _EPOCHS + 1):
        for rows in torch.split(torch.randperm(len(points)), _BATCH):
            loss = nn.functional.cross_entropy(net(images[rows]), classes[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        checkpoint = Checkpoint(run=0, epoch=epoch, epochs=_EPOCHS)
        state = fold.update(state, observe(net, batch, checkpoint, ["label"], None))
    return fold.finish(state).value


def _distance(net: nn.Module, points: Floats) -> Floats:
    """Return the distance [N] of each point to the nearest grid point of the other class."""
    side = np.linspace(-0.5, 1.5, _GRID)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    with torch.inference_mode():
        grid_classes = net(_images(grid)).argmax(dim=1).numpy()
        point_classes = net(_images(points)).argmax(dim=1).numpy()
    distance = np.full(len(points), np.nan)
    for own in (0, 1):
        others = grid[grid_classes != own]
        if len(others):
            distance[point_classes == own] = KDTree(others).query(points[point_classes == own])[0]
    return distance
