from dataclasses import replace

import numpy as np
import pytest
import torch

from scoring.representers.decomposition import measure_exactness, recompose
from scoring.representers.losses import RELU, SOFTMAX, SuitableLoss
from scoring.representers.solve import Objective
from tests.scoring.representers.problems import alpha_of, at_rest, problem, twice


@pytest.mark.parametrize("loss", [SOFTMAX, RELU])
def test_outputs_are_the_sum_of_their_parts(loss: SuitableLoss) -> None:
    objective = problem(loss=loss)
    layer, features = at_rest(objective), objective.features[:].astype(float)
    unseen = np.random.default_rng(5).standard_normal((20, 6))
    parts = alpha_of(objective, layer).T @ (features @ unseen.T)
    outputs = layer.outputs(torch.from_numpy(unseen)).T
    np.testing.assert_allclose(parts, outputs, atol=1e-9)


def test_every_row_twice_halves_alpha() -> None:
    objective = problem()
    double = replace(
        objective, features=twice(objective.features[:]), targets=twice(objective.targets[:])
    )
    once, halves = (alpha_of(o, at_rest(o)) for o in (objective, double))
    np.testing.assert_allclose(halves, twice(once / 2), atol=1e-12)


def test_alpha_of_one_row_is_known() -> None:
    """F = -log s_y(W f) + lambda |W|^2 on one row, f = (1), labels as targets, two classes.

    At rest: W = (w, -w), s_0 = 1 / (1 + exp(-2 w)), 1 - s_0 = 2 lambda w; alpha_0 = w.
    """
    objective = Objective(
        features=np.ones((1, 1), np.float32),
        targets=np.array([[1, 0]], np.float32),
        loss=SOFTMAX,
        penalty=0.1,
    )
    layer = at_rest(objective)
    w = float(layer.weights[0, 0])
    assert 1 / (1 + np.exp(2 * w)) == pytest.approx(0.2 * w, rel=1e-9)
    np.testing.assert_allclose(alpha_of(objective, layer), [[w, -w]], rtol=1e-9)


def test_the_bias_is_in_the_kernel() -> None:
    """All features are 0, so only the constant can express the shares of the classes."""
    features = np.zeros((4, 3), np.float32)
    features[:, -1] = 1
    targets = np.eye(2, dtype=np.float32)[[0, 0, 0, 1]]
    objective = Objective(features=features, targets=targets, loss=SOFTMAX, penalty=1e-6)
    layer = at_rest(objective)
    with_constant = alpha_of(objective, layer).T @ (features @ features[0])
    bias = layer.weights[:, -1].numpy()
    np.testing.assert_allclose(with_constant, bias, atol=1e-6)
    assert np.log(3) == pytest.approx(bias[0] - bias[1], abs=1e-3)


def test_an_example_excites_its_own_class_and_inhibits_the_others() -> None:
    objective = problem(classes=4)
    labels = objective.targets[:].argmax(axis=1)
    hard = replace(objective, targets=np.eye(4, dtype=np.float32)[labels])
    alpha = alpha_of(hard, at_rest(hard))
    own = np.eye(4, dtype=bool)[labels]
    assert (alpha[own] > 0).all()
    assert (alpha[~own] < 0).all()
    np.testing.assert_allclose(alpha.sum(axis=1), 0, atol=1e-12)


def test_exactness_measures_what_is_missing() -> None:
    objective = problem()
    layer = at_rest(objective)
    features, targets = objective.features, objective.targets
    parts = recompose(layer, features, targets)
    exact = measure_exactness(layer, parts, features, targets)
    assert exact.residual < 1e-9
    activations = layer.loss.activation(layer.outputs(torch.from_numpy(features[:]))).numpy()
    assert exact.pearson == pytest.approx(
        np.corrcoef(activations.ravel(), targets[:].ravel())[0, 1], abs=1e-9
    )
    assert exact.mean_difference == pytest.approx(np.abs(activations - targets[:]).mean())

    moved = replace(layer, weights=layer.weights + 1e-3)
    off = measure_exactness(moved, recompose(moved, features, targets), features, targets)
    gradient = objective.at(moved.weights).gradient
    expected = (gradient @ torch.from_numpy(features[:]).double().T).abs().max() / (2 * 0.01)
    assert off.residual == pytest.approx(float(expected), rel=1e-6)


def test_layers_at_rest_elsewhere_have_other_fingerprints() -> None:
    layer = at_rest(problem())
    moved = replace(layer, weights=layer.weights + 1e-15)
    assert not torch.equal(moved.weights, layer.weights)
    assert moved.fingerprint != layer.fingerprint == at_rest(problem()).fingerprint
