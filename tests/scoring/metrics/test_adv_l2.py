from typing import get_args

import numpy as np
import pytest
import torch
from apply_metric import small_net
from foolbox.attacks.ddn import DDNAttack
from linear_nets import grey_batch, linear_net, two_classes
from torch import nn

from scoring.attacks.by_foolbox import foolbox_distance
from scoring.attacks.efforts import EffortName
from scoring.metrics.adv_l2 import METRIC, Config, score
from scoring.spec import Batch


def exact(batch, w, b):
    return ((batch.inputs.flatten(1) @ w + b).abs() / w.norm()).double().numpy()


# Foolbox's last bisection leaves 0.1 % of the distance; Carlini-Wagner's Adam never quite settles.
@pytest.mark.parametrize(
    ("config", "within"),
    [
        (Config(), 1e-5),
        (Config(attack="ddn"), 0.002),
        (Config(attack="deepfool"), 0.002),
        (Config(attack="carlini_wagner", steps=200, cw_rate=0.002), 0.05),
    ],
    ids=lambda value: getattr(value, "attack", ""),
)
def test_distance_of_a_linear_model_is_margin_over_norm(config, within):
    net, w, b = two_classes()
    batch = grey_batch()
    want = exact(batch, w, b)
    got = score(config, batch, net).value
    # An upper bound, but for float32: pixels near 0.5 are known to 6e-8.
    assert (got >= want - 1e-6).all()
    np.testing.assert_array_less(got, want * (1 + within) + 1e-6)


def test_points_stay_inside_the_box():
    """The straight line to the boundary leaves [0, 1]; the shortest way inside is longer."""
    net = linear_net(torch.stack([torch.zeros(16), torch.ones(16)]), torch.tensor([0.0, -13.0]))
    images = torch.full((1, 1, 4, 4), 0.5)
    images[..., :2] = 0.9  # eight pixels at 0.9, eight at 0.5: 1.8 to go, 0.1125 each without a box
    batch = Batch(ids=np.arange(1), labels=np.zeros(1, dtype=np.int64), inputs=images)
    inside = np.sqrt(8 * 0.1**2 + 8 * 0.125**2)
    assert exact(batch, torch.ones(16), -13.0) < inside
    np.testing.assert_allclose(score(Config(), batch, net).value, inside, rtol=0.005)


def test_confident_logits_lose_no_direction():
    """A class that leads by 20 has softmax 1 in float32, and plain DDN never leaves it."""
    w = torch.randn(16, generator=torch.Generator().manual_seed(0))
    weight = torch.stack([10 * w, w / 10])  # what float32 keeps points the wrong way
    batch = grey_batch(spread=0.01)
    net = linear_net(weight, torch.tensor([20.0, 0.0]) - weight.sum(dim=1) / 2).eval()
    net.requires_grad_(False)
    logits = net(batch.inputs)
    lead = logits[:, 0] - logits[:, 1]
    assert (lead > 17).all()
    want = (lead / (weight[0] - weight[1]).norm()).double().numpy()
    np.testing.assert_allclose(score(Config(), batch, net).value, want, rtol=0.002)
    plain = foolbox_distance(DDNAttack(), 2, net, batch.inputs, logits.argmax(dim=1))
    assert np.isnan(plain).all()


def test_dead_gradients_do_not_depend_on_the_batch():
    """Where a net is flat, DDN walks blindly, and must do so for each example by itself."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Threshold(0.8, 0.0), nn.Flatten(), nn.Linear(16, 2, bias=False)).eval()
    batch = grey_batch(rows=6, spread=0.05)
    whole = score(Config(), batch, net)
    assert np.isfinite(whole.value).any()
    for row in range(6):
        alone = Batch(ids=batch.ids[[row]], labels=batch.labels[[row]], inputs=batch.inputs[[row]])
        np.testing.assert_array_equal(score(Config(), alone, net).value, whole.value[[row]])


def test_carlini_wagner_does_not_stop_because_of_the_batch():
    """One example that no longer improves must not end the search for the others."""
    net = small_net(3).eval()
    images = torch.rand(8, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    labels = np.zeros(8, dtype=np.int64)
    config = Config(attack="carlini_wagner", steps=40, cw_rounds=4, cw_constant=1.0)
    whole = score(config, Batch(ids=np.arange(8), labels=labels, inputs=images), net)
    assert np.isfinite(whole.value).sum() > 4
    for row in range(8):
        alone = Batch(ids=np.arange(1), labels=labels[:1], inputs=images[[row]])
        np.testing.assert_allclose(score(config, alone, net).value, whole.value[[row]], rtol=1e-4)


def test_more_effort_is_seldom_worse_and_mostly_better():
    net = small_net(0).eval()
    images = torch.rand(16, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    batch = Batch(ids=np.arange(16), labels=np.zeros(16, dtype=np.int64), inputs=images)
    fast, standard, thorough = (
        score(Config(effort=effort), batch, net).value for effort in get_args(EffortName)
    )
    ddn = score(Config(attack="ddn"), batch, net).value
    assert thorough.mean() < standard.mean() < fast.mean() < ddn.mean()
    assert (thorough <= standard * 1.001).all()


def test_a_constant_model_has_no_adversarial():
    net = linear_net(torch.zeros(2, 16), torch.tensor([1.0, 0.0]))
    columns = score(Config(), grey_batch(rows=3), net)
    assert np.isnan(columns.value).all()
    assert columns.status.tolist() == ["no_adversarial_found"] * 3


def test_a_boundary_outside_the_box_has_no_adversarial():
    net = linear_net(torch.stack([torch.zeros(16), torch.ones(16)]), torch.tensor([0.0, -17.0]))
    columns = score(Config(), grey_batch(rows=3), net)  # class 1 needs a mean pixel above 17 / 16
    assert columns.status.tolist() == ["no_adversarial_found"] * 3


def test_reference_label_gives_zero_to_the_misclassified():
    net, w, b = two_classes()
    batch = grey_batch(rows=4)
    predicted = net(batch.inputs).argmax(dim=1).numpy()
    labels = predicted.copy()
    labels[1], labels[2] = 1 - labels[1], -1
    batch = Batch(ids=batch.ids, labels=labels, inputs=batch.inputs)
    columns = score(Config(reference="label"), batch, net)
    assert columns.value[1] == 0
    assert columns.status.tolist() == ["", "", "unlabelled", ""]
    np.testing.assert_allclose(columns.value[[0, 3]], exact(batch, w, b)[[0, 3]], rtol=0.002)
    assert (score(Config(), batch, net).value > 0).all()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (
            "attack",
            "fgsm",
            "attack: expected one of race, ddn, carlini_wagner, deepfool, got 'fgsm'",
        ),
        ("effort", "huge", "effort: expected one of fast, standard, thorough, got 'huge'"),
        ("reference", "truth", "reference: expected one of prediction, label, got 'truth'"),
        ("steps", 0, "steps: expected a number above 0, got 0"),
        ("cw_rounds", -1, "cw_rounds: expected a number above 0, got -1"),
        ("cw_rate", float("nan"), "cw_rate: expected a number above 0, got nan"),
    ],
)
def test_bad_settings_are_refused(field, value, message):
    with pytest.raises(ValueError, match=message):
        Config(**{field: value})


def test_passes_count_every_step():
    assert METRIC.passes(Config(attack="ddn", steps=7)).backward == 7
    assert METRIC.passes(Config(attack="carlini_wagner", steps=7)).backward == 63
