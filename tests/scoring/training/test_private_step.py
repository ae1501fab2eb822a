import copy
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from scoring.allowed_nets import allow_nets
from scoring.data.training_set import TrainingSet
from scoring.errors import UserError
from scoring.inputs import as_input
from scoring.nets import build
from scoring.run_spec import NetSpec, Privacy, Recipe, RunSpec
from scoring.training import private
from scoring.training.loop import train
from scoring.training.private import private_step

pytestmark = pytest.mark.filterwarnings("error::UserWarning")

NETS = {
    "paper_cnn": ((12, 12, 1), NetSpec(name="paper_cnn", width=0.25)),
    "small_cnn": ((16, 16, 3), NetSpec(name="small_cnn")),  # colour: channels last in memory
    "mlp": ((8, 8, 3), NetSpec(name="mlp")),
    "resnetv2": ((8, 8, 3), NetSpec(name="resnetv2", group_norm=True)),
    "whitened_cnn": ((8, 8, 3), NetSpec(name="whitened_cnn", width=0.25, group_norm=True)),
    "resnet18": ((32, 32, 1), NetSpec(name="resnet18", group_norm=True)),  # few positions: Gram
    "depthwise": ((12, 12, 3), NetSpec(name=f"{__name__}:depthwise_net")),
}


def depthwise_net(shape, classes):
    return nn.Sequential(
        nn.Conv2d(shape[2], 8, 3, padding="same"),
        nn.Conv2d(8, 8, 3, stride=2, groups=8, bias=False),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.LazyLinear(classes),
    )


def make_net(name):
    shape, spec = NETS[name]
    if ":" in spec.name:
        allow_nets([spec.name])
    torch.manual_seed(0)
    net = build(spec, shape=shape, classes=5).to(memory_format=torch.channels_last)
    numbers = np.random.default_rng(0)
    images = torch.from_numpy(numbers.integers(0, 256, (6, *shape), dtype=np.uint8))
    return net, as_input(images), torch.from_numpy(numbers.integers(0, 5, 6))


def make_step(net, *, rate=0.1, noise=0.0, clip=1e9, expected=6.0, seed=0):
    return private_step(
        net,
        torch.optim.SGD(net.parameters(), lr=rate),
        noise_multiplier=noise,
        max_grad_norm=clip,
        expected_rows=expected,
        stream=torch.Generator().manual_seed(seed),
    )


def example_gradients(net, images, labels):
    """Compute gradients the obvious way, one example at a time: a list of gradients for each."""
    loss = nn.functional.cross_entropy
    return [
        torch.autograd.grad(loss(net(images[i : i + 1]), labels[i : i + 1]), [*net.parameters()])
        for i in range(len(labels))
    ]


@pytest.mark.parametrize("chunk", [2, 4, 6])
@pytest.mark.parametrize("name", NETS)
def test_the_sum_of_clipped_gradients_equals_a_loop_over_examples(name, chunk, monkeypatch):
    monkeypatch.setattr(private, "_chunk_rows", lambda net: chunk)
    net, images, labels = make_net(name)
    gradients = example_gradients(net, images, labels)
    norms = [torch.cat([g.flatten() for g in each]).norm() for each in gradients]
    clip = float(torch.stack(norms).median())  # some are clipped, some are not
    expected = [
        sum(g * min(1.0, clip / n) for g, n in zip(each, norms, strict=True))
        for each in zip(*gradients, strict=True)
    ]
    before = [p.detach().clone() for p in net.parameters()]
    make_step(net, rate=1.0, clip=clip, expected=1.0)(images, labels)
    for old, parameter, wanted in zip(before, net.parameters(), expected, strict=True):
        # Opacus adds 1e-6 to norms; sums run in another order.
        torch.testing.assert_close(old - parameter.detach(), wanted, rtol=1e-3, atol=2e-5 * clip)


def test_a_long_gradient_is_clipped_to_the_bound():
    net, images, labels = make_net("paper_cnn")
    clip = 0.01
    for i in range(len(labels)):
        one = copy.deepcopy(net)
        make_step(one, rate=1.0, clip=clip, expected=1.0)(images[i : i + 1], labels[i : i + 1])
        moved = [(p - q).flatten() for p, q in zip(net.parameters(), one.parameters(), strict=True)]
        assert torch.cat(moved).norm().item() == pytest.approx(clip, rel=1e-3)


@pytest.mark.parametrize("name", ["small_cnn", "resnetv2"])
def test_without_noise_and_clipping_a_step_is_sgd(name):
    net, images, labels = make_net(name)
    plain = copy.deepcopy(net)
    step = make_step(net)
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.1)
    for _ in range(3):
        result = step(images, labels)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(plain(images), labels)
        loss.backward()
        optimizer.step()
        assert result.loss.item() == pytest.approx(6 * loss.item(), rel=1e-4)
    for parameter, wanted in zip(net.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(parameter, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rows", [0, 6])
def test_noise_has_the_stated_deviation_even_on_empty_batches(rows):
    quiet, images, labels = make_net("mlp")
    noisy, start = copy.deepcopy(quiet), copy.deepcopy(quiet)
    images, labels = images[:rows], labels[:rows]
    make_step(quiet, rate=1.0, clip=0.5, expected=4.0)(images, labels)
    result = make_step(noisy, rate=1.0, clip=0.5, expected=4.0, noise=3.0)(images, labels)
    noise = torch.cat(
        [(p - q).flatten() for p, q in zip(noisy.parameters(), quiet.parameters(), strict=True)]
    ).detach()
    wanted = 3.0 * 0.5 / 4.0
    # 50,000 normal numbers: the standard error of the deviation is 0.32 %, of the mean 0.45 %.
    assert len(noise) > 50_000
    assert noise.std().item() == pytest.approx(wanted, rel=0.016)
    assert abs(noise.mean().item()) < 0.023 * wanted
    pairs = zip(quiet.parameters(), start.parameters(), strict=True)
    assert any(not torch.equal(p, q) for p, q in pairs) is (rows > 0)
    assert (result.loss.item() > 0) is (rows > 0)


def test_layers_that_mix_examples_are_refused():
    net = build(NetSpec(name="resnetv2"), shape=(8, 8, 3), classes=5)
    with pytest.raises(UserError, match=r"--net: expected layers that do not mix .*Batch"):
        make_step(net)


def test_a_private_run_is_reproducible_and_keeps_its_budget():
    numbers = np.random.default_rng(0)
    data = TrainingSet(
        ids=np.arange(120),
        inputs=numbers.integers(0, 256, (120, 8, 8, 1), dtype=np.uint8),
        labels=numbers.integers(0, 4, 120),
        classes=4,
    )
    spec = RunSpec(
        kind="private",
        split="train",
        net=NetSpec(name="small_cnn"),
        recipe=Recipe(optimizer="sgd", learning_rate=0.1, batch_rows=32, epochs=3),
        privacy=Privacy(epsilon=2.0, delta=1e-4),
    )
    first, second = train(spec, data), train(spec, data)
    assert all(torch.equal(first.weights[k], second.weights[k]) for k in first.weights)
    assert 1.9 < first.epsilon <= 2.0
    assert first.noise_multiplier > 0
    assert first.epochs == 3
    other = train(replace(spec, seed=1), data)
    assert not all(torch.equal(first.weights[k], other.weights[k]) for k in first.weights)
    with pytest.raises(ValueError, match="float32"):
        train(replace(spec, dtype="bfloat16"), data)
    with pytest.raises(UserError, match=r"--delta: expected .* less than 1 / 120 rows, got 0.01"):
        train(replace(spec, privacy=Privacy(epsilon=2.0, delta=0.01)), data)


def test_only_private_training_imports_opacus():
    code = (
        "import sys; import scoring.training.loop, scoring.training.recipes, scoring.nets;"
        "sys.exit('opacus' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
