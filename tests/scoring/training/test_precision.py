import pytest
import torch

from scoring.run_spec import NetSpec
from scoring.training.precision import pays_bfloat16


@pytest.fixture
def with_bf16(monkeypatch):
    def pretend(there):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": there})

    return pretend


@pytest.mark.parametrize(
    ("name", "width", "pays"),
    [
        ("paper_cnn", 1.0, True),
        ("paper_cnn", 0.125, False),
        ("small_cnn", 1.0, False),
        ("resnet18", 1.0, True),
        ("package.module:factory", 1.0, False),
    ],
)
def test_wide_nets_pay_where_the_hardware_multiplies_bf16(name, width, pays, with_bf16):
    net = NetSpec(name=name, width=width)
    with_bf16(True)
    assert pays_bfloat16(net, "cpu") is pays
    with_bf16(False)
    assert pays_bfloat16(net, "cpu") is False
