import pytest
import torch
from torch import Tensor

from scoring.errors import UnknownName, UserError
from scoring.nets import Fitted, build
from scoring.representers.layer import Layer
from scoring.run_spec import NetSpec


@pytest.fixture
def images() -> Tensor:
    return torch.rand(5, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def fitted(name: str = "lenet5", **settings: object) -> Fitted:
    torch.manual_seed(0)
    return build(NetSpec(name=name, **settings), shape=(28, 28, 1), classes=10).eval()


@pytest.mark.parametrize("order", [(), (3, 1, 0, 2, 9, 8, 7, 6, 5, 4)])
@pytest.mark.parametrize("net", ["lenet5", "paper_cnn", "mlp", "resnetv2"])
def test_weights_times_features_are_the_logits(
    net: str, order: tuple[int, ...], images: Tensor
) -> None:
    model = fitted(net, class_order=order)
    layer = Layer(model)
    with torch.no_grad():
        captured = layer.capture(images)
        torch.testing.assert_close(captured.outputs, model(images))
        torch.testing.assert_close(captured.features @ layer.weights.T, captured.outputs)
    assert (captured.features[:, -1] == 1).all()


def test_a_hidden_layer_by_name(images: Tensor) -> None:
    model = fitted()
    names = [n for n, m in model.net.named_modules() if isinstance(m, torch.nn.Linear)]
    layer = Layer(model, names[0])
    assert not layer.is_last
    with torch.no_grad():
        captured = layer.capture(images)
    assert captured.outputs.shape == (5, 120)
    torch.testing.assert_close(captured.features @ layer.weights.T, captured.outputs)


@pytest.mark.parametrize("order", [(), (3, 1, 0, 2, 9, 8, 7, 6, 5, 4)])
def test_the_net_computes_with_the_weights_that_are_set(
    order: tuple[int, ...], images: Tensor
) -> None:
    model = fitted(class_order=order)
    layer = Layer(model)
    weights = torch.randn(10, 85, dtype=torch.float64)
    layer.set_weights(weights)
    with torch.no_grad():
        captured = layer.capture(images)
    torch.testing.assert_close(model(images), (captured.features.double() @ weights.T).float())
    torch.testing.assert_close(layer.weights, weights.float())


def test_a_layer_without_bias_has_no_constant(images: Tensor) -> None:
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 3, bias=False))
    layer = Layer(Fitted(net, NetSpec(name="own"), torch.nn.Identity()))
    assert layer.capture(images).features.shape == (5, 784)
    assert layer.weights.shape == (3, 784)


def test_an_unknown_layer_is_refused_by_name() -> None:
    with pytest.raises(UnknownName, match=r"--layer: expected one of .*last, .*got .conv9"):
        Layer(fitted(), "conv9")


def test_a_net_without_linear_layers_is_refused() -> None:
    with pytest.raises(UserError, match="expected a net with linear layers"):
        Layer(Fitted(torch.nn.Flatten(), NetSpec(name="own"), torch.nn.Identity()))


class Recurrent(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(784, 784)

    def forward(self, images: Tensor) -> Tensor:
        return self.layer(self.layer(images.flatten(1)))


def test_a_layer_called_twice_for_an_image_is_refused(images: Tensor) -> None:
    layer = Layer(Fitted(Recurrent(), NetSpec(name="own"), torch.nn.Identity()))
    with pytest.raises(UserError, match="called 2 times"):
        layer.capture(images)
