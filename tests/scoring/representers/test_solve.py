from dataclasses import replace
from io import FileIO
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from scoring.representers.losses import RELU, SOFTMAX, SuitableLoss
from scoring.representers.matrix import FileMatrix
from scoring.representers.solve import Objective, minimise
from tests.scoring.representers.problems import problem


@pytest.mark.parametrize("loss", [SOFTMAX, RELU])
def test_finds_what_scipy_finds(loss: SuitableLoss) -> None:
    objective = problem(loss=loss)
    features, targets = objective.features[:].astype(float), objective.targets[:].astype(float)

    def value(flat: np.ndarray) -> float:
        outputs = torch.from_numpy(features @ flat.reshape(3, 6).T)
        losses = loss.value(outputs, torch.from_numpy(targets))
        return float(losses.mean()) + 0.01 * float(flat @ flat)

    found = minimize(value, np.zeros(18), method="BFGS", options={"gtol": 1e-7})
    point = minimise(objective)
    np.testing.assert_allclose(point.weights.flatten(), found.x, atol=1e-5)
    assert point.value <= found.fun + 1e-12
    assert point.gradient_norm <= 1e-9


def test_gradient_and_hessian_are_derivatives_of_the_value() -> None:
    objective = problem(classes=4)
    draws = torch.Generator().manual_seed(1)
    weights, step = torch.randn(2, 4, 6, generator=draws, dtype=torch.float64)
    near, far = objective.at(weights - 1e-5 * step), objective.at(weights + 1e-5 * step)
    here = objective.at(weights)
    slope = float((here.gradient * step).sum())
    assert (far.value - near.value) / 2e-5 == pytest.approx(slope, rel=1e-7)
    curved = (far.gradient - near.gradient) / 2e-5
    torch.testing.assert_close(objective.product(here, step), curved, rtol=1e-5, atol=1e-6)


@pytest.fixture
def large() -> Objective:
    return problem(rows=20_000, width=64, classes=4, penalty=0.003)


def test_the_number_of_threads_changes_no_bit(large: Objective) -> None:
    one, many = (minimise(replace(large, threads=n)).weights for n in (1, 4))
    assert torch.equal(one, many)


def test_rows_in_a_file_give_the_same_result_as_in_memory(large: Objective, tmp_path: Path) -> None:
    def filed(name: str, rows: np.ndarray) -> FileMatrix:
        rows.tofile(tmp_path / name)
        return FileMatrix(file=FileIO(tmp_path / name), shape=rows.shape)

    stored = replace(
        large, features=filed("f", large.features[:]), targets=filed("t", large.targets[:])
    )
    assert torch.equal(minimise(stored).weights, minimise(large).weights)


def test_any_start_leads_to_the_same_rest() -> None:
    objective = problem()
    rest = minimise(objective, tolerance=1e-12)
    again = minimise(objective, start=rest.weights + 1, tolerance=1e-12)
    torch.testing.assert_close(again.weights, rest.weights, rtol=0, atol=1e-10)


def test_an_unreachable_tolerance_ends_at_the_best_float64_allows() -> None:
    assert minimise(problem(), tolerance=0.0).gradient_norm < 1e-14
