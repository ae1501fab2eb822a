"""Two clusters far apart in the plane: which method still tells which training points matter?

Yeh et al. 2018, arXiv:1811.09720, Figure 8 (appendix): where a net is certain of every point its
loss is flat, so influence functions give every training point nothing, while representer values
still tell excitatory points from inhibitory ones.

That figure compares two different models: influence on the net as trained, whose probabilities are
1 to the last bit, and representer values of its last layer at rest under an L2 penalty. So we also
show influence on the layer at rest. Ours is the influence on the last layer alone, with labels as
targets (for a net this certain, its outputs are the labels); the paper's is on the whole net, with
damping. The data have the scale of the paper's, not its numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from scoring.analysis.attribution import (
    InfluenceOnLoss,
    Method,
    RepresenterValues,
    Setting,
    negligible,
    unexplained_share,
)
from scoring.analysis.points import point
from scoring.analysis.seeds import findings_by_seed
from scoring.arrays import Bools, Floats, Ints
from scoring.nets import Fitted, build
from scoring.representers.decomposition import LayerAtRest, measure_exactness, recompose
from scoring.representers.layer import Layer
from scoring.representers.layer_rows import OneHot
from scoring.representers.losses import SOFTMAX
from scoring.representers.solve import Objective, minimise
from scoring.run_spec import NetSpec
from scoring.tables.findings import Finding
from scoring.training.reproducible import reproducible

_TRAIN, _TEST = 600, 400
_CENTRE, _SPREAD = 600.0, 100.0  # of a cluster, on either axis
_EPOCHS, _BATCH = 20, 16
_PENALTY = 0.003
_STRONGEST = 5  # points of each sign
SIGN_OF_SUPPORT = {"representer": 1, "influence": -1, "influence as trained": -1}
"""Method to the sign of values that support a prediction: influence above 0 raises the loss."""


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """The values of N training points for T test points of a net in the plane."""

    points: Floats
    """[N, 2]."""
    labels: Ints
    """[N], 0 or 1."""
    test_points: Floats
    """[T, 2]."""
    predicted: Ints
    """[T] by the layer at rest, whose predictions representer values explain."""
    values: Mapping[str, Floats]
    """Method to values [N, T]."""
    accuracy: float
    """Accuracy of the net on the T points."""
    residual: float
    """Largest error of an output of the layer at rest when summed from its parts."""


def experiment(seed: int) -> Experiment:
    """Train a net, bring its last layer to rest, and apply every method to all training points."""
    random = np.random.default_rng(seed)
    points, labels = _clusters(random, _TRAIN)
    test_points, test_labels = _clusters(random, _TEST)
    with reproducible(1, "cpu"):
        torch.manual_seed(seed)
        layer = Layer(_train(points, labels))
        with torch.no_grad():
            train, test = layer.capture(_images(points)), layer.capture(_images(test_points))
        setting = _at_rest(layer, train.features, labels, test.features, test_labels)
        methods: dict[str, Method] = {
            "representer": RepresenterValues(setting),
            "influence": InfluenceOnLoss(setting),
            "influence as trained": InfluenceOnLoss(setting, layer.weights),
        }
        objective, rest = setting.objective, setting.rest
        parts = recompose(rest, objective.features, objective.targets)
        targets = OneHot(test_labels, 2)
        return Experiment(
            points=points,
            labels=labels,
            test_points=test_points,
            predicted=rest.outputs(test.features).argmax(dim=1).numpy(),
            values={name: method.values(slice(0, _TEST)) for name, method in methods.items()},
            accuracy=float((test.outputs.argmax(dim=1).numpy() == test_labels).mean()),
            residual=measure_exactness(rest, parts, setting.features, targets).residual,
        )


def findings(experiments: Mapping[int, Experiment]) -> list[Finding]:
    """Report which methods say something about the test points, and what.

    Args:
        experiments: seed to its experiment.

    Returns:
        For each method: `nothing_said`, the share of test points whose strongest value is
        negligible; `strongest`, the median of the strongest values, in logits or nats;
        `for_same_class`, the share of the predicted class among the five points that most support
        each prediction, and `against_other_class`, the share of the other class among the five that
        most oppose it. For the subject `net`: `accuracy`, and `residual` of its layer at rest. Each
        for every seed and, as part "all", means with standard deviations.
    """
    net = {s: {"accuracy": e.accuracy, "residual": e.residual} for s, e in experiments.items()}
    found = findings_by_seed("net", net, _TEST)
    for method in SIGN_OF_SUPPORT:
        numbers = {seed: _numbers(result, method) for seed, result in experiments.items()}
        found += findings_by_seed(method, numbers, _TEST)
    return found


def scatter(result: Experiment, shown: int = 0) -> list[Finding]:
    """Report one test point and all training points: their places, and values by each method.

    Args:
        result: an experiment.
        shown: position of the test point.

    Returns:
        For each method: the value up to which its values are `negligible`. For each point, with its
        class as part (for the test point, the predicted one): `x`, `y` and, for a training point,
        its value by each method.
    """
    found = [
        Finding(
            subject=method,
            part="",
            measure="negligible",
            value=negligible(np.abs(values).max(axis=0)),
            rows=len(result.test_points),
        )
        for method, values in result.values.items()
    ]
    place = _place(result.test_points[shown])
    found += point(f"test {shown}", f"class {result.predicted[shown]}", place)
    for i, label in enumerate(result.labels):
        values = {method: values[i, shown] for method, values in result.values.items()}
        found += point(f"train {i}", f"class {label}", {**_place(result.points[i]), **values})
    return found


def _numbers(result: Experiment, method: str) -> dict[str, float]:
    values = result.values[method]
    strongest, same = np.abs(values).max(axis=0), result.labels[:, None] == result.predicted
    support = SIGN_OF_SUPPORT[method] * values
    return {
        "nothing_said": unexplained_share(strongest),
        "strongest": float(np.median(strongest)),
        "for_same_class": _hit_rate(same, support),
        "against_other_class": _hit_rate(~same, -support),
    }


def _hit_rate(hits: Bools, values: Floats) -> float:
    """Return the share of hits among the five largest values above 0 for each test point.

    NaN if no value is above 0.
    """
    top = np.argsort(-values, axis=0, kind="stable")[:_STRONGEST]
    positive = np.take_along_axis(values, top, axis=0) > 0
    if not positive.any():
        return float("nan")
    return float(np.take_along_axis(hits, top, axis=0)[positive].mean())


def _place(at: Floats) -> dict[str, float]:
    return {"x": float(at[0]), "y": float(at[1])}


def _clusters(random: np.random.Generator, rows: int) -> tuple[Floats, Ints]:
    labels = np.arange(rows) % 2
    centres = np.where(labels[:, None] == 0, -_CENTRE, _CENTRE)
    return centres + random.normal(scale=_SPREAD, size=(rows, 2)), labels


def _images(points: Floats) -> Tensor:
    """Turn points [N, 2] into images [N, 1, 1, 2]: one row, two columns."""
    return torch.from_numpy(points).float().reshape(len(points), 1, 1, 2)


def _at_rest(
    layer: Layer, features: Tensor, labels: Ints, test_features: Tensor, test_labels: Ints
) -> Setting:
    objective = Objective(
        features=features.numpy(), targets=OneHot(labels, 2), loss=SOFTMAX, penalty=_PENALTY
    )
    weights = minimise(objective, layer.weights).weights
    rest = LayerAtRest(weights=weights, loss=SOFTMAX, penalty=_PENALTY, rows=len(labels))
    return Setting(
        objective=objective, rest=rest, features=test_features.numpy(), labels=test_labels
    )


def _train(points: Floats, labels: Ints) -> Fitted:
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
