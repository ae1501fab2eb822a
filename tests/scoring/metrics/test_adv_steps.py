import numpy as np
import pytest
import torch
from apply_metric import small_net
from linear_nets import grey_batch, linear_net, two_classes

from scoring.metrics.adv_steps import METRIC, Config, score
from scoring.spec import Batch


@pytest.mark.parametrize("scale", [1.0, 1000.0])
@pytest.mark.parametrize("step", [0.002, 0.01])
def test_steps_of_a_linear_model_are_its_distance_over_the_step(step, scale):
    """Even if the model is so sure that cross-entropy has no gradient left in float32."""
    net, w, b = two_classes(scale=scale)
    batch = grey_batch()
    exact = ((batch.inputs.flatten(1) @ w + b).abs() / w.abs().sum()).double().numpy() / step
    np.testing.assert_allclose(score(Config(step=step), batch, net).value, exact, rtol=2e-4)


def test_rounded_up_it_is_the_count_of_iterations():
    """Even for a net whose lead does not fall evenly."""
    net = small_net(0).eval()
    images = torch.rand(12, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    batch = Batch(ids=np.arange(12), labels=np.zeros(12, dtype=np.int64), inputs=images)
    values = score(Config(step=0.01), batch, net).value
    with torch.no_grad():
        own = net(images).argmax(dim=1)
    for row, value in enumerate(values):
        x, count = images[row : row + 1], 0
        while net(x).argmax() == own[row]:
            x = x.detach().requires_grad_()
            torch.nn.functional.cross_entropy(net(x), own[row : row + 1]).backward()
            x, count = (x + 0.01 * x.grad.sign()).clamp(0, 1).detach(), count + 1
        assert np.ceil(value) == count


def test_no_two_examples_tie():
    net, _, _ = two_classes()
    values = score(Config(), grey_batch(rows=50), net).value
    assert len(np.unique(values)) == 50


def test_the_budget_ends():
    net, w, b = two_classes()
    columns = score(Config(max_steps=3), grey_batch(), net)
    distance = (grey_batch().inputs.flatten(1) @ w + b).abs() / w.abs().sum()
    far = (distance > 3 * 0.002).numpy()
    assert far.any()
    assert not far.all()
    assert (np.isnan(columns.value) == far).all()
    assert (columns.status == np.where(far, "no_adversarial_found", "")).all()


def test_gives_up_where_nothing_moves():
    """A constant model has no gradient: one pass, not `max_steps`."""
    net = linear_net(torch.zeros(2, 16), torch.tensor([1.0, 0.0]))
    passes = []
    net.register_forward_hook(lambda *_: passes.append(1))
    columns = score(Config(), grey_batch(rows=3), net)
    assert columns.status.tolist() == ["no_adversarial_found"] * 3
    assert len(passes) == 2  # the reference class, and one step


def test_only_unchanged_examples_continue():
    net, _, _ = two_classes()
    sizes = []
    net.register_forward_hook(lambda _, inputs, __: sizes.append(len(inputs[0])))
    columns = score(Config(), grey_batch(), net)
    assert sum(sizes[1:]) == np.ceil(columns.value).sum() + len(columns.value)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("step", 0.0, r"step: expected a number above 0, got 0\.0"),
        ("max_steps", -5, "max_steps: expected a number above 0, got -5"),
        ("reference", "none", "reference: expected one of prediction, label, got 'none'"),
    ],
)
def test_bad_settings_are_refused(field, value, message):
    with pytest.raises(ValueError, match=message):
        Config(**{field: value})


def test_the_planned_cost_assumes_a_usual_distance():
    assert METRIC.passes(Config(step=0.01)).backward == pytest.approx(11)
    assert METRIC.passes(Config(step=0.01, max_steps=3)).backward == 4
