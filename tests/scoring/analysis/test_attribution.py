from dataclasses import replace

import numpy as np
import pytest
import torch

from scoring.analysis import attribution
from scoring.analysis.attribution import Setting
from scoring.representers.decomposition import LayerAtRest
from scoring.representers.influence import Influence
from scoring.representers.losses import SOFTMAX
from scoring.representers.solve import Objective, minimise

ROWS, TESTS, WIDTH, CLASSES = 300, 90, 5, 3


@pytest.fixture
def setting() -> Setting:
    draws = np.random.default_rng(0)
    features = draws.standard_normal((ROWS + TESTS, WIDTH)).astype(np.float32)
    outputs = features @ draws.standard_normal((WIDTH, CLASSES)).astype(np.float32)
    targets = SOFTMAX.activation(torch.from_numpy(2 * outputs[:ROWS])).numpy()
    objective = Objective(features=features[:ROWS], targets=targets, loss=SOFTMAX, penalty=0.01)
    rest = LayerAtRest(weights=minimise(objective).weights, loss=SOFTMAX, penalty=0.01, rows=ROWS)
    labels = outputs[ROWS:].argmax(axis=1)
    return Setting(objective=objective, rest=rest, features=features[ROWS:], labels=labels)


def test_both_methods_follow_their_definitions(setting: Setting) -> None:
    found = attribution.compare(setting)
    train, test = setting.objective.features[:].astype(float), setting.features.astype(float)
    alpha = setting.rest.alpha(
        torch.from_numpy(train), torch.from_numpy(setting.objective.targets[:])
    ).numpy()
    predicted = (test @ setting.rest.weights.numpy().T).argmax(axis=1)
    values = (train @ test.T) * alpha[:, predicted]
    np.testing.assert_allclose(found.strongest["representer"], np.abs(values).max(0), rtol=1e-5)

    influence_functions = Influence(setting.objective, setting.objective.at(setting.rest.weights))
    shares = setting.rest.outputs(torch.from_numpy(test)).softmax(dim=1).numpy()
    pulls = torch.from_numpy(shares - np.eye(CLASSES)[setting.labels])
    influence = torch.cat(
        list(influence_functions.on_test_rows(torch.from_numpy(test), pulls))
    ).numpy()
    np.testing.assert_allclose(found.strongest["influence"], np.abs(influence).max(0), rtol=1e-5)
    assert found.seconds_each["influence"] > 0


def test_test_rows_with_negligible_values_are_counted(setting: Setting) -> None:
    compared = attribution.compare(setting)
    compared.strongest["influence"][:45] = compared.strongest["influence"].max() / 1e4
    found = {(f.subject, f.measure): f.value for f in attribution.findings(compared)}
    assert found["influence", "nothing_said"] >= 0.5
    assert found["representer", "nothing_said"] == 0
    assert {measure for _, measure in found} == set(attribution.MEASURES)
    assert -1 <= found["representer x closeness", "spearman"] <= 1


def test_zero_values_say_nothing() -> None:
    assert attribution.unexplained_share(np.zeros(5)) == 1
    assert attribution.unexplained_share(np.array([1.0, 1e-3, 2e-3, 0.0])) == 0.5


@pytest.mark.parametrize("row", [5, 88])
def test_all_values_of_one_example_are_kept(setting: Setting, row: int) -> None:
    example = attribution.compare(replace(setting, example=row)).example
    assert (example.position, example.label) == (row, setting.labels[row])
    for name, method in (
        ("representer", attribution.RepresenterValues(setting)),
        ("influence", attribution.InfluenceOnLoss(setting)),
    ):
        np.testing.assert_allclose(
            example.values[name], method.values(slice(0, TESTS))[:, row], rtol=1e-4, atol=1e-6
        )
    for i, features in enumerate(setting.objective.features[:].astype(float)):
        away = np.linalg.norm(features - setting.features[row])
        assert example.distance[i] == pytest.approx(away, rel=1e-5)


def test_the_example_is_the_first_misclassified_one_by_default(setting: Setting) -> None:
    predicted = setting.rest.outputs(torch.from_numpy(setting.features)).argmax(dim=1).numpy()
    right = attribution.compare(replace(setting, labels=predicted)).example
    assert (right.position, right.label, right.predicted) == (0, predicted[0], predicted[0])
    labels = predicted.copy()
    labels[[7, 30]] = (labels[[7, 30]] + 1) % CLASSES
    wrong = attribution.compare(replace(setting, labels=labels)).example
    assert (wrong.position, wrong.label, wrong.predicted) == (7, labels[7], predicted[7])


def test_influence_at_other_weights_is_that_of_their_loss(setting: Setting) -> None:
    """If a layer is certain of its test rows, no training row changes their loss."""
    setting = replace(setting, labels=(setting.features @ np.eye(WIDTH, CLASSES)).argmax(axis=1))
    certain = attribution.InfluenceOnLoss(setting, 1e4 * torch.eye(CLASSES, WIDTH))
    uncertain = attribution.InfluenceOnLoss(setting, 1e-4 * torch.eye(CLASSES, WIDTH))
    assert np.median(np.abs(certain.values(slice(0, TESTS))).max(axis=0)) < 1e-12
    assert np.median(np.abs(uncertain.values(slice(0, TESTS))).max(axis=0)) > 0.1
