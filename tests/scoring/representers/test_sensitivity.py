import pytest
import torch
from torch import Tensor

from scoring.nets import build
from scoring.representers.decomposition import LayerAtRest
from scoring.representers.layer import Layer
from scoring.representers.losses import SOFTMAX
from scoring.representers.sensitivity import sensitivity_maps
from scoring.representers.solve import Objective, minimise
from scoring.run_spec import NetSpec

ROWS, OUTPUT = 120, 3


@pytest.fixture
def images() -> Tensor:
    return torch.rand(ROWS, 1, 28, 28, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def layer() -> Layer:
    torch.manual_seed(0)
    model = build(NetSpec(name="lenet5"), shape=(28, 28, 1), classes=10).eval()
    return Layer(model.requires_grad_(False))


@pytest.fixture
def rest(layer: Layer, images: Tensor) -> tuple[LayerAtRest, Tensor, Tensor]:
    """The last layer at rest on the images, their features, and their alpha for one output."""
    captured = layer.capture(images)
    targets = SOFTMAX.activation(3 * captured.outputs)
    objective = Objective(
        features=captured.features.numpy(), targets=targets.numpy(), loss=SOFTMAX, penalty=0.003
    )
    stationary_layer = LayerAtRest(
        weights=minimise(objective).weights, loss=SOFTMAX, penalty=0.003, rows=ROWS
    )
    return (
        stationary_layer,
        captured.features,
        stationary_layer.alpha(captured.features, targets)[:, OUTPUT],
    )


def test_all_parts_add_up_to_the_gradient_of_the_output(
    layer: Layer, images: Tensor, rest: tuple[LayerAtRest, Tensor, Tensor]
) -> None:
    at_rest, features, alpha = rest
    layer.set_weights(at_rest.weights)
    image = images[7].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(layer.capture(image[None]).outputs[0, OUTPUT], image)
    parts = sensitivity_maps(layer, images[7], features, alpha)
    assert parts.shape == (ROWS, 1, 28, 28)
    difference = (parts.sum(dim=0) - gradient).norm() / gradient.norm()
    assert difference < 1e-4
    assert gradient.norm() > 0


def test_noise_averages_over_copies_and_follows_the_seed(
    layer: Layer, images: Tensor, rest: tuple[LayerAtRest, Tensor, Tensor]
) -> None:
    _, features, alpha = rest
    some = features[:2], alpha[:2]
    smooth = sensitivity_maps(layer, images[0], *some, copies=8, noise=0.2, seed=1)
    again = sensitivity_maps(layer, images[0], *some, copies=8, noise=0.2, seed=1)
    other = sensitivity_maps(layer, images[0], *some, copies=8, noise=0.2, seed=2)
    assert torch.equal(smooth, again)
    assert not torch.allclose(smooth, other)
    still = sensitivity_maps(layer, images[0], *some, copies=3, noise=0.0)
    torch.testing.assert_close(still, sensitivity_maps(layer, images[0], *some))
