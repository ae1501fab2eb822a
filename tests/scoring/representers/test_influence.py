from dataclasses import replace

import numpy as np
import pytest
import torch

from scoring.errors import UserError
from scoring.representers import influence
from scoring.representers.influence import Influence
from scoring.representers.solve import Objective, minimise
from tests.scoring.representers.problems import problem


@pytest.fixture
def objective() -> Objective:
    return problem(rows=200, penalty=0.02)


def loss_of(objective: Objective, weights: torch.Tensor, row: int) -> float:
    outputs = torch.from_numpy(objective.features[row : row + 1]).double() @ weights.T
    targets = torch.from_numpy(objective.targets[row : row + 1]).double()
    return float(objective.loss.value(outputs, targets))


def without(objective: Objective, row: int, share: float) -> torch.Tensor:
    """Weights at rest if the loss of a row has `share` / N less weight."""
    copies = 100  # of each row, fewer of the one with less weight
    times = np.full(len(objective.features[:]), copies)
    times[row] = round(copies * (1 - share))
    rows = np.repeat(np.arange(len(times)), times)
    fewer = replace(
        objective,
        features=objective.features[rows],
        targets=objective.targets[rows],
        penalty=objective.penalty * copies * len(times) / len(rows),
    )
    return minimise(fewer, tolerance=1e-12).weights


def test_predicts_how_less_weight_changes_the_loss_of_another_row(objective: Objective) -> None:
    rest = minimise(objective, tolerance=1e-12)
    features, targets = (torch.from_numpy(m[:]) for m in (objective.features, objective.targets))
    pulls = objective.loss.activation(features.double() @ rest.weights.T) - targets
    found = torch.cat(list(Influence(objective, rest).on_test_rows(features[3:4], pulls[3:4])))
    strongest = int(found[:, 0].abs().argmax())
    change = loss_of(objective, without(objective, strongest, 0.05), 3) - loss_of(
        objective, rest.weights, 3
    )
    assert change == pytest.approx(-0.05 / 200 * float(found[strongest, 0]), rel=0.02)


def test_self_influence_is_minus_the_influence_of_a_row_on_itself(objective: Objective) -> None:
    rest = minimise(objective, tolerance=1e-12)
    features, targets = (torch.from_numpy(m[:]) for m in (objective.features, objective.targets))
    pulls = objective.loss.activation(features.double() @ rest.weights.T) - targets
    influence_functions = Influence(objective, rest)
    on_all = torch.cat(list(influence_functions.on_test_rows(features, pulls)))
    torch.testing.assert_close(influence_functions.self_influence(), -on_all.diagonal())
    assert (influence_functions.self_influence() >= 0).all()


def test_the_hessian_agrees_with_the_products_of_the_solver(objective: Objective) -> None:
    rest = minimise(objective)
    direction = torch.randn(3, 6, dtype=torch.float64)
    whole = influence._hessian(objective, rest) @ direction.flatten()
    torch.testing.assert_close(
        whole.reshape(3, 6), objective.product(rest, direction), rtol=1e-5, atol=1e-6
    )


def test_a_layer_too_large_is_refused(
    objective: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(influence, "_LARGEST", 17)
    with pytest.raises(UserError, match="at most 17 weights, got 18"):
        Influence(objective, minimise(objective))
