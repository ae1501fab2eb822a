import pytest
import torch
from torch.autograd.functional import hessian

from scoring.representers.losses import RELU, SOFTMAX, SuitableLoss
from scoring.representers.preconditioner import factors, pays, preconditioner
from tests.scoring.representers.problems import problem

PENALTY = 0.01


@pytest.mark.parametrize("loss", [SOFTMAX, RELU])
def test_inverts_the_product_of_its_factors(loss: SuitableLoss) -> None:
    objective = problem(rows=40, width=5, classes=3, loss=loss)
    features = torch.from_numpy(objective.features[:])
    outputs = features @ torch.ones(5, 3) - torch.tensor([0.0, 1.0, 9.0])
    active = loss.activation(outputs)

    def potential(row: torch.Tensor) -> torch.Tensor:
        return loss.potential(row[None])[0]

    curvatures = torch.stack([hessian(potential, row) for row in outputs]).double()  # [n, C, C]
    traces = curvatures.diagonal(dim1=1, dim2=2).sum(dim=1)
    of_features = torch.einsum("n,ni,nj->ij", traces, features.double(), features.double())
    whole = torch.kron(curvatures.mean(dim=0), of_features / traces.sum())
    whole += 2 * PENALTY * torch.eye(15)

    residual = torch.randn(3, 5, generator=torch.Generator().manual_seed(0)).double()
    solved = preconditioner(factors(features, active, loss), PENALTY)(residual)
    torch.testing.assert_close(whole @ solved.flatten(), residual.flatten(), rtol=1e-4, atol=1e-5)


def test_is_the_inverse_of_the_hessian_if_all_rows_have_equal_curvature() -> None:
    objective = problem(rows=500, width=6, classes=3)
    here = objective.at(torch.zeros(3, 6).double())  # shares of 1/3 everywhere
    features = torch.from_numpy(objective.features[:])
    inverse = preconditioner(factors(features, here.activations[0], SOFTMAX), objective.penalty)
    step = torch.randn(3, 6, generator=torch.Generator().manual_seed(0)).double()
    torch.testing.assert_close(inverse(objective.product(here, step)), step, rtol=1e-4, atol=1e-5)


def test_without_curvature_the_penalty_is_left() -> None:
    flat = preconditioner(factors(torch.ones(4, 2), torch.zeros(4, 3), RELU), PENALTY)
    ones = torch.ones(3, 2).double()
    torch.testing.assert_close(flat(ones), ones / (2 * PENALTY))


def test_parts_add_up() -> None:
    objective = problem(rows=40)
    features, active = (torch.from_numpy(m[:]) for m in (objective.features, objective.targets))
    parts = [factors(features[at], active[at], SOFTMAX) for at in (slice(25), slice(25, 40))]
    whole, summed = factors(features, active, SOFTMAX), parts[0] + parts[1]
    assert summed.rows == whole.rows
    torch.testing.assert_close(summed.features, whole.features, rtol=1e-5, atol=0)
    torch.testing.assert_close(summed.outputs, whole.outputs, rtol=1e-5, atol=1e-5)


def test_pays_only_with_many_rows_for_the_width() -> None:
    assert pays(rows=60_000, width=257, classes=10)
    assert not pays(rows=1000, width=2049, classes=10)
    assert not pays(rows=1000, width=64, classes=21_000)
