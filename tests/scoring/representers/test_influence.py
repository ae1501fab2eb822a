from dataclasses import replace

import numpy as np
import pytest
import torch

from scoring.errors import UserError
from scoring.representers import influence
from scoring.representers.influence import Influence
from scoring.representers.solve import Objective, stationary
from tests.scoring.representers.problems import problem


@pytest.fixture
def objective() -> Objective:
    return problem(rows=200, penalty=0.02)


def loss_of(objective: Objective, weights: torch.Tensor, row: int) -> float:
    outputs = torch.from_numpy(objective.features[row : row + 1]).double() @ weights.T
    targets = torch.from_numpy(objective.targets[row : row + 1]).double()
    return float(objective.loss.value(outputs, targets))


def without(objective: Objective, row: int, share: float) -> torch.Tensor:
    """Weights at rest once a row's loss weighs less by `share` / N."""
    copies = 100  # of every row, but for the share
    times = np.full(len(objective.features[:]), copies)
    times[row] = round(copies * (1 - share))
    rows = np.repeat(np.arange(len(times)), times)
    fewer = replace(
        objective,
        features=objective.features[rows],
        targets=objective.targets[rows],
        penalty=objective.penalty * copies * len(times) / len(rows),
    )
    return stationary(fewer, tolerance=1e-12).weights


def test_foretells_what_less_weight_does_to_the_loss_of_another_row(objective: Objective) -> None:
    rest = stationary(objective, tolerance=1e-12)
    features, targets = (torch.from_numpy(m[:]) for m in (objective.features, objective.targets))
    pulls = objective.loss.activation(features.double() @ rest.weights.T) - targets
    found = torch.cat(list(Influence(objective, rest).of_training_rows(features[3:4], pulls[3:4])))
    strongest = int(found[:, 0].abs().argmax())
    change = loss_of(objective, without(objective, strongest, 0.05), 3) - loss_of(
        objective, rest.weights, 3
    )
    assert change == pytest.approx(-0.05 / 200 * float(found[strongest, 0]), rel=0.02)


def test_self_influence_is_minus_the_influence_on_oneself(objective: Objective) -> None:
    rest = stationary(objective, tolerance=1e-12)
    features, targets = (torch.from_numpy(m[:]) for m in (objective.features, objective.targets))
    pulls = objective.loss.activation(features.double() @ rest.weights.T) - targets
    judge = Influence(objective, rest)
    on_all = torch.cat(list(judge.of_training_rows(features, pulls)))
    torch.testing.assert_close(judge.on_themselves(), -on_all.diagonal())
    assert (judge.on_themselves() >= 0).all()


def test_the_hessian_is_the_one_that_the_solver_multiplies_with(objective: Objective) -> None:
    rest = stationary(objective)
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
        Influence(objective, stationary(objective))
