"""Two clusters in the plane, far apart: who still says which training points matter?

Yeh et al. 2018, arXiv:1811.09720, Figure 8 (appendix): a net that is sure of every point has a flat
loss, so that influence functions give every training point nothing, where representer values still
tell excitatory points from inhibitory ones.

That figure holds two models against each other: influence on the net as it was trained, whose
probabilities are 1 to the last bit, and representer values of its last layer at rest under an L2
penalty. Influence on the layer at rest therefore stands beside both. It is of the last layer alone,
with labels as targets (where a net is that sure, its outputs are the labels); the paper's is of the
whole net, with damping. Of the paper's data the scale is kept, not the numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from scoring.analysis.attribution import (
    InfluenceOnLoss,
    RepresenterValues,
    Setting,
    Way,
    negligible,
    nothing_said,
)
from scoring.analysis.points import point
from scoring.analysis.seeds import over_seeds
from scoring.arrays import Floats, Ints
from scoring.nets import Fitted, build
from scoring.representers.decomposition import StationaryLayer, proof, recomposed
from scoring.representers.layer import Layer
from scoring.representers.layer_rows import OneHot
from scoring.representers.losses import SOFTMAX
from scoring.representers.solve import Objective, stationary
from scoring.run_spec import NetSpec
from scoring.tables.findings import Finding
from scoring.training.reproducible import reproducible

_TRAIN, _TEST = 600, 400
_MIDDLE, _SPREAD = 600.0, 100.0  # of a cluster, on either axis
_EPOCHS, _BATCH = 20, 16
_PENALTY = 0.003
_STRONGEST = 5  # points of each sign
FOR = {"representer": 1, "influence": -1, "influence as trained": -1}
"""Way to the sign of values that speak for the prediction: influence above 0 raises the loss."""


@dataclass(frozen=True, kw_only=True)
class RepresenterToy:
    """What N training points are to T test points of a net in the plane."""

    points: Floats
    """[N, 2]."""
    labels: Ints
    """[N], 0 or 1."""
    tested: Floats
    """[T, 2]."""
    predicted: Ints
    """[T], by the layer at rest, whose predictions representer values explain."""
    values: Mapping[str, Floats]
    """[N, T] by way."""
    accuracy: float
    """Of the net, on the T points."""
    residual: float
    """Largest error of an output of the layer at rest, put together from its parts."""


def representer_toy(seed: int) -> RepresenterToy:
    """Train a net, bring its last layer to rest, and weigh all training points in all ways."""
    random = np.random.default_rng(seed)
    (points, labels), (tested, known) = _clusters(random, _TRAIN), _clusters(random, _TEST)
    with reproducible(1, "cpu"):
        torch.manual_seed(seed)
        layer = Layer(_trained(points, labels))
        with torch.no_grad():
            train, test = layer.see(_images(points)), layer.see(_images(tested))
        setting = _at_rest(layer, train.features, labels, test.features, known)
        ways: dict[str, Way] = {
            "representer": RepresenterValues(setting),
            "influence": InfluenceOnLoss(setting),
            "influence as trained": InfluenceOnLoss(setting, layer.weights),
        }
        objective, rest = setting.objective, setting.rest
        parts = recomposed(rest, objective.features, objective.targets)
        return RepresenterToy(
            points=points,
            labels=labels,
            tested=tested,
            predicted=rest.outputs(test.features).argmax(dim=1).numpy(),
            values={name: way.values(slice(0, _TEST)) for name, way in ways.items()},
            accuracy=float((test.outputs.argmax(dim=1).numpy() == known).mean()),
            residual=proof(rest, parts, setting.features, OneHot(known, 2)).residual,
        )


def findings(toys: Mapping[int, RepresenterToy]) -> list[Finding]:
    """Who says something of the test points, and what.

    Args:
        toys: seed to what became of it.

    Returns:
        By way: `nothing_said`, the share of test points whose strongest value is `negligible`;
        `strongest`, the median of these values, in logits or nats; of the five points that speak
        most for a prediction, and of the five that speak most against it, the shares
        `for_same_class` and `against_other_class` whose label is, and is not, the predicted class.
        Of the `net`: `accuracy` and, of its layer at rest, `residual`. A row a seed and, as part
        "all", means and deviations.
    """
    found = over_seeds(
        "net",
        {s: {"accuracy": toy.accuracy, "residual": toy.residual} for s, toy in toys.items()},
        _TEST,
    )
    for way in FOR:
        found += over_seeds(way, {seed: _numbers(toy, way) for seed, toy in toys.items()}, _TEST)
    return found


def plane(toy: RepresenterToy, shown: int = 0) -> list[Finding]:
    """A test point and all training points: where they lie, and their values in each way.

    Returns:
        By way, what of these is `negligible`; by point, part the class (of the test point the
        predicted one), `x`, `y` and, of a training point, its values.
    """
    told = [
        Finding(
            subject=way,
            part="",
            measure="negligible",
            value=negligible(np.abs(values).max(axis=0)),
            rows=len(toy.tested),
        )
        for way, values in toy.values.items()
    ]
    told += point(f"test {shown}", f"class {toy.predicted[shown]}", _place(toy.tested[shown]))
    for i, label in enumerate(toy.labels):
        values = {way: of_way[i, shown] for way, of_way in toy.values.items()}
        told += point(f"train {i}", f"class {label}", {**_place(toy.points[i]), **values})
    return told


def _numbers(toy: RepresenterToy, way: str) -> dict[str, float]:
    strongest, same = np.abs(toy.values[way]).max(axis=0), toy.labels[:, None] == toy.predicted
    speaks = FOR[way] * toy.values[way]
    return {
        "nothing_said": nothing_said(strongest),
        "strongest": float(np.median(strongest)),
        "for_same_class": _share(same, speaks),
        "against_other_class": _share(~same, -speaks),
    }


def _share(hits: npt.NDArray[np.bool_], values: Floats) -> float:
    """Of the points of largest value above 0, a few for each test point; NaN where none is."""
    top = np.argsort(-values, axis=0, kind="stable")[:_STRONGEST]
    there = np.take_along_axis(values, top, axis=0) > 0
    return float(np.take_along_axis(hits, top, axis=0)[there].mean()) if there.any() else np.nan


def _place(at: Floats) -> dict[str, float]:
    return {"x": float(at[0]), "y": float(at[1])}


def _clusters(random: np.random.Generator, rows: int) -> tuple[Floats, Ints]:
    labels = np.arange(rows) % 2
    middles = np.where(labels[:, None] == 0, -_MIDDLE, _MIDDLE)
    return middles + random.normal(scale=_SPREAD, size=(rows, 2)), labels


def _images(points: Floats) -> Tensor:
    """[N, 1, 1, 2]: a point is an image of one row and two columns."""
    return torch.from_numpy(points).float().reshape(len(points), 1, 1, 2)


def _at_rest(layer: Layer, features: Tensor, labels: Ints, tested: Tensor, known: Ints) -> Setting:
    objective = Objective(
        features=features.numpy(), targets=OneHot(labels, 2), loss=SOFTMAX, penalty=_PENALTY
    )
    weights = stationary(objective, layer.weights).weights
    rest = StationaryLayer(weights=weights, loss=SOFTMAX, penalty=_PENALTY, rows=len(labels))
    return Setting(objective=objective, rest=rest, features=tested.numpy(), labels=known)


def _trained(points: Floats, labels: Ints) -> Fitted:
    spec = NetSpec(name="mlp", mean=(0.0,), std=(1.0,))
    net = build(spec, shape=(1, 2, 1), classes=2)
    images, classes = _images(points), torch.from_numpy(labels)
    optimizer = torch.optim.Adam(net.parameters())
    for _ in range(_EPOCHS):
        for rows in torch.split(torch.randperm(len(points)), _BATCH):
            loss = nn.functional.cross_entropy(net(images[rows]), classes[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return net.eval()
