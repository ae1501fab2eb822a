import pytest
import torch

from scoring.nets import builder
from scoring.run_spec import NetSpec
from scoring.training.precision import pays_bfloat16


@pytest.fixture
def with_bf16(monkeypatch):
    def pretend(supported):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": supported})

    return pretend


@pytest.mark.parametrize(
    ("name", "width", "pays"),
    [
        ("paper_cnn", 1.0, True),
        ("paper_cnn", 0.125, False),
        ("small_cnn", 1.0, False),
        ("resnet18", 1.0, True),
        ("lstm", 100.0, False),
        ("package.module:factory", 1.0, False),
    ],
)
def test_wide_nets_pay_where_the_hardware_multiplies_bf16(name, width, pays, with_bf16):
    net = NetSpec(name=name, width=width)
    with_bf16(True)
    assert pays_bfloat16(net, "cpu") is pays
    with_bf16(False)
    assert pays_bfloat16(net, "cpu") is False


def test_a_new_net_of_ours_stays_in_float32_on_a_cpu_until_it_is_measured(with_bf16, monkeypatch):
    monkeypatch.setitem(builder._IMAGE_NETS, "newcomer", builder.mlp)
    with_bf16(True)
    assert pays_bfloat16(NetSpec(name="newcomer", width=100.0), "cpu") is False
