import pytest
import torch

from scoring.representers.losses import RELU, SOFTMAX, SuitableLoss
from tests.scoring.representers.problems import at_rest, problem


@pytest.mark.parametrize("loss", [SOFTMAX, RELU])
def test_gradient_vanishes_at_the_teachers_own_outputs(loss: SuitableLoss) -> None:
    outputs = torch.randn(50, 4, dtype=torch.float64, requires_grad=True)
    loss.value(outputs, loss.activation(outputs.detach())).sum().backward()
    assert outputs.grad is not None
    assert outputs.grad.abs().max() < 1e-15


@pytest.mark.parametrize("loss", [SOFTMAX, RELU])
def test_the_gradient_is_activation_minus_targets(loss: SuitableLoss) -> None:
    outputs = torch.randn(50, 4, dtype=torch.float64, requires_grad=True)
    targets = loss.activation(torch.randn(50, 4, dtype=torch.float64))
    (gradient,) = torch.autograd.grad(loss.value(outputs, targets).sum(), outputs)
    torch.testing.assert_close(gradient, loss.activation(outputs.detach()) - targets)


def test_relu_loss_is_the_papers() -> None:
    outputs, given = torch.randn(2, 50, 4, dtype=torch.float64)
    paper = (outputs.relu() * outputs / 2 - given.relu() * outputs).sum(dim=1)
    torch.testing.assert_close(RELU.value(outputs, RELU.activation(given)), paper)


@pytest.mark.parametrize("loss", [SOFTMAX, RELU])
def test_a_layer_with_almost_no_penalty_reproduces_its_teacher(loss: SuitableLoss) -> None:
    objective = problem(loss=loss, penalty=1e-9)
    layer = at_rest(objective)
    given = loss.activation(layer.outputs(torch.from_numpy(objective.features[:])))
    torch.testing.assert_close(
        given, torch.from_numpy(objective.targets[:]).double(), rtol=0, atol=1e-4
    )
