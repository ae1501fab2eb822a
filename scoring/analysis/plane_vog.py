"""VoG in the plane, where the distance to the decision boundary can be measured.

Agarwal, D'souza & Hooker, "Estimating Example Difficulty using Variance of Gradients", CVPR 2022,
arXiv:2008.11600, Figure 1: two clusters, a small net that separates them, and points near the
boundary with the highest VoG. A point is an image of one row and two columns.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import nn

from scoring.analysis.seeds import over_seeds
from scoring.arrays import Floats, Ints
from scoring.folds.gradients import Begin, finish, update
from scoring.score.trajectories import look
from scoring.spec import Batch, Checkpoint
from scoring.tables.findings import Finding

_EPOCHS, _BATCH, _UNITS = 15, 16, 10
_GRID = 1000  # points a side, of the plane on which the boundary is looked for


@dataclass(frozen=True, kw_only=True)
class Toy:
    """N test points of a net in the plane."""

    points: Floats
    """[N, 2] in [0, 1]."""
    labels: Ints
    """[N], 0 or 1."""
    vog: Floats
    """[N]."""
    distance: Floats
    """[N]: L2 distance to the nearest point of the other class as the net has it."""
    accuracy: float
    """Of the net, on the N points."""


def toy(seed: int, rows: int = 500) -> Toy:
    """Train a net on so many points of two overlapping clusters, and score as many others."""
    random = np.random.default_rng(seed)
    points, labels = _clusters(random, rows)
    tested, known = _clusters(random, rows)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Flatten(), nn.Linear(2, _UNITS), nn.ReLU(), nn.Linear(_UNITS, 2))
        vog = _trained(net, points, labels, tested, known)
    with torch.inference_mode():
        right = net(_images(tested)).argmax(dim=1).numpy() == known
    return Toy(
        points=tested,
        labels=known,
        vog=vog,
        distance=_distance(net, tested),
        accuracy=float(right.mean()),
    )


def findings(toys: dict[int, Toy]) -> list[Finding]:
    """How VoG goes with the distance to the boundary.

    Args:
        toys: seed to what became of it.

    Returns:
        `spearman` in [-1, 1], negative where points near the boundary have the higher VoG;
        `vog_near` and `vog_far`, means over the tenths of the points nearest to and farthest from
        the boundary; `accuracy`. A row a seed and, as part "all", means and deviations.
    """
    rows = len(next(iter(toys.values())).vog)
    return over_seeds("vog", {seed: _numbers(toy) for seed, toy in toys.items()}, rows)


def _numbers(toy: Toy) -> dict[str, float]:
    order = np.argsort(toy.distance)
    tenth = max(1, len(order) // 10)
    return {
        "spearman": float(spearmanr(toy.vog, toy.distance).statistic),
        "vog_near": float(toy.vog[order[:tenth]].mean()),
        "vog_far": float(toy.vog[order[-tenth:]].mean()),
        "accuracy": toy.accuracy,
    }


def _clusters(random: np.random.Generator, rows: int) -> tuple[Floats, Ints]:
    labels = np.arange(rows) % 2
    middles = np.where(labels[:, None] == 0, [0.35, 0.35], [0.65, 0.65])
    points = middles + random.normal(scale=0.1, size=(rows, 2))
    return np.clip(points, 0, 1), labels


def _images(points: Floats) -> torch.Tensor:
    return torch.from_numpy(points).float().reshape(len(points), 1, 1, 2)


def _trained(
    net: nn.Sequential, points: Floats, labels: Ints, tested: Floats, known: Ints
) -> Floats:
    """Train the net; VoG of the tested points over the epochs."""
    batch = Batch(ids=np.arange(len(tested)), labels=known, inputs=_images(tested))
    state = Begin("label")(None, batch, classes=2)
    images, classes = _images(points), torch.from_numpy(labels)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for epoch in range(1, _EPOCHS + 1):
        for rows in torch.split(torch.randperm(len(points)), _BATCH):
            loss = nn.functional.cross_entropy(net(images[rows]), classes[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        place = Checkpoint(run=0, epoch=epoch, epochs=_EPOCHS)
        state = update(state, look(net, batch, place, ["label"], None))
    return finish(state).value


def _distance(net: nn.Module, points: Floats) -> Floats:
    """Distance of each point to the nearest grid point of the other class."""
    from scipy.spatial import KDTree

    side = np.linspace(-0.5, 1.5, _GRID)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    with torch.inference_mode():
        of_grid = net(_images(grid)).argmax(dim=1).numpy()
        of_points = net(_images(points)).argmax(dim=1).numpy()
    distance = np.full(len(points), np.nan)
    for own in (0, 1):
        others = grid[of_grid != own]
        if len(others):
            distance[of_points == own] = KDTree(others).query(points[of_points == own])[0]
    return distance
