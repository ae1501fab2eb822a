import numpy as np
import pytest
from linear_nets import grey_batch, two_classes

from scoring.metrics.adv_linf import METRIC, Config, score


# Foolbox's last bisection leaves 0.1 %. FMN alone stays on the boundary in some rows.
@pytest.mark.parametrize(("attack", "within"), [("race", 1e-5), ("fmn", 2e-3), ("deepfool", 2e-3)])
def test_distance_of_a_linear_model_is_margin_over_the_dual_norm(attack, within):
    net, w, b = two_classes()
    batch = grey_batch()
    want = ((batch.inputs.flatten(1) @ w + b).abs() / w.abs().sum()).double().numpy()
    got = score(Config(attack=attack), batch, net).value
    # An upper bound, but for float32: pixels near 0.5 are known to 6e-8.
    assert (got >= want - 1e-6).all()
    np.testing.assert_array_less(got, want * (1 + within) + 1e-6)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("attack", "ddn", "attack: expected one of race, fmn, deepfool, got 'ddn'"),
        ("steps", 0, "steps: expected a number above 0, got 0"),
        ("reference", "", "reference: expected one of prediction, label, got ''"),
    ],
)
def test_bad_settings_are_refused(field, value, message):
    with pytest.raises(ValueError, match=message):
        Config(**{field: value})


def test_passes_count_every_step():
    assert METRIC.passes(Config(attack="fmn")).backward == 50
    assert METRIC.passes(Config(attack="deepfool", steps=10)).backward == 90
