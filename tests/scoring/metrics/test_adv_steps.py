import numpy as np
import pytest
import torch
from linear_nets import grey_batch, linear_net, two_classes

from scoring.metrics.adv_steps import METRIC, Config, score


@pytest.mark.parametrize("scale", [1.0, 1000.0])
@pytest.mark.parametrize("step", [0.002, 0.01])
def test_steps_of_a_linear_model_are_its_distance_over_the_step(step, scale):
    """Also where the model is so sure that cross-entropy has no gradient left in float32."""
    net, w, b = two_classes(scale=scale)
    batch = grey_batch()
    exact = ((batch.images.flatten(1) @ w + b).abs() / w.abs().sum()).double().numpy() / step
    clear = np.abs(exact - np.round(exact)) > 1e-3  # float32 may put a tie on either side
    assert clear.sum() > 15
    np.testing.assert_array_equal(
        score(Config(step=step), batch, net).value[clear], np.ceil(exact)[clear]
    )


def test_a_fine_step_tells_examples_apart():
    net, _, _ = two_classes()
    values = score(Config(), grey_batch(rows=50), net).value
    assert len(np.unique(values)) > 10


def test_the_budget_ends():
    net, w, b = two_classes()
    columns = score(Config(max_steps=3), grey_batch(), net)
    distance = (grey_batch().images.flatten(1) @ w + b).abs() / w.abs().sum()
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


def test_only_unchanged_examples_go_on():
    net, _, _ = two_classes()
    sizes = []
    net.register_forward_hook(lambda _, inputs, __: sizes.append(len(inputs[0])))
    columns = score(Config(), grey_batch(), net)
    assert sum(sizes[1:]) == columns.value.sum() + len(columns.value)


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


def test_planned_passes_are_those_of_a_usual_distance():
    assert METRIC.passes(Config(step=0.01)).backward == pytest.approx(11)
    assert METRIC.passes(Config(step=0.01, max_steps=3)).backward == 4
