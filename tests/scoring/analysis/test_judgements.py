"""What evaluations find, on hand-made scores whose answer is known."""

import math

import numpy as np
import pytest
from scipy.stats import spearmanr, ttest_ind

from scoring.analysis import across_trainings, changed_labels, detection, error_by_tenth, plane_vog
from scoring.analysis.changed_labels import Judged
from scoring.analysis.statistics import Errors, Standing


def table(findings):
    return {(f.part, f.measure): f.value for f in findings}


def test_deciles_add_up():
    errors = Errors(rows=(10,) * 9 + (0,), wrong=(9, 8, 7, 6, 5, 4, 3, 2, 1, 0))
    found = table(error_by_tenth.findings("vog", errors))
    assert [found[str(tenth), "error_rate"] for tenth in range(1, 10)] == pytest.approx(
        [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]
    )
    assert math.isnan(found["10", "error_rate"])
    assert found["upper half", "error_rate"] == pytest.approx(10 / 40)
    assert found["all", "error_rate"] == pytest.approx(45 / 90)


def judged(value, changed, percentile=None):
    value, changed = np.asarray(value, float), np.asarray(changed, bool)
    ranks = 100 * np.argsort(np.argsort(-value)) / (len(value) - 1)
    return Judged(
        value=value, percentile=ranks if percentile is None else percentile, changed=changed
    )


def test_a_metric_that_knows_finds_all_changed_labels():
    changed = np.arange(100) < 20
    value = changed + np.arange(100) / 1e3
    found = table(changed_labels.findings("vog", "after", judged(value, changed), 0.25))
    assert found["after", "auroc"] == 1
    assert found["after", "average_precision"] == pytest.approx(1)
    assert found["after", "precision_at_changed"] == 1
    assert found["after", "welch_t"] > 0
    assert found["after", "precision"] == 20 / 25
    assert found["after", "recall"] == 1


def test_one_that_knows_nothing_is_at_chance():
    random = np.random.default_rng(0)
    value, changed = random.normal(size=20_000), random.random(20_000) < 0.2
    found = table(changed_labels.findings("vog", "before", judged(value, changed), 0.4))
    assert found["before", "auroc"] == pytest.approx(0.5, abs=0.02)
    assert found["before", "average_precision"] == pytest.approx(0.2, abs=0.02)
    assert found["before", "precision_at_changed"] == pytest.approx(0.2, abs=0.02)
    test = ttest_ind(value[changed], value[~changed], equal_var=False)
    assert found["before", "welch_t"] == pytest.approx(test.statistic)
    assert found["before", "welch_p"] == pytest.approx(test.pvalue)


def test_rows_without_value_or_rank_do_not_count():
    value = np.array([3.0, math.nan, 1.0, 2.0, 0.5])
    percentile = np.array([0, math.nan, 66, 33, 100.0])
    found = changed_labels.findings("vog", "x", judged(value, [1, 1, 0, 1, 0], percentile), 0.4)
    assert table(found)["x", "auroc"] == 1
    assert {f.rows for f in found if f.measure not in ("precision", "recall")} == {4}
    assert {f.rows for f in found if f.measure in ("precision", "recall")} == {2}


@pytest.mark.parametrize("changed", [[0, 0, 0], [1, 1, 1]])
def test_without_both_kinds_there_is_no_answer(changed):
    found = changed_labels.findings("vog", "x", judged([1, 2, 3], changed), 0.4)
    assert all(math.isnan(f.value) for f in found if f.measure not in ("precision", "recall"))


def test_caught_are_those_that_were_changed():
    chosen, changed = np.array([1, 1, 1, 1, 0], bool), np.array([1, 0, 0, 0, 1], bool)
    found = table(changed_labels.caught("memorized_exceptions", "x", chosen, changed))
    assert found == {("x", "precision"): 0.25, ("x", "recall"): 0.5}
    none = table(changed_labels.caught("vog", "x", ~chosen & ~changed, changed))
    assert math.isnan(none["x", "precision"])
    assert none["x", "recall"] == 0


def test_of_sets_all_members_are_told_apart():
    sets = {"a": np.array([1, 1, 0], bool), "b": np.array([0, 0, 1], bool)}
    found = changed_labels.findings_of_sets(sets, "x", np.array([1, 0, 0], bool))
    told = [(f.subject, f.measure, f.value, f.rows) for f in found]
    assert told[:2] == [("a", "precision", 0.5, 2), ("a", "recall", 1, 2)]
    assert told[2:] == [("b", "precision", 0, 1), ("b", "recall", 0, 1)]


def standing(percentile, ids=None):
    ids = np.arange(len(percentile)) if ids is None else ids
    return Standing(ids=np.asarray(ids), percentile=np.asarray(percentile, float))


def test_equal_rankings_agree_wholly():
    same = standing(np.linspace(0, 100, 50))
    found = across_trainings.findings("vog", {"a": same, "b": same, "c": same})
    assert table(found)["all", "spearman"] == pytest.approx(1)
    assert table(found)["all", "instance_sd"] == pytest.approx(0, abs=1e-12)
    assert {f.part for f in found} == {"a x b", "a x c", "b x c", "all"}


def test_agreement_is_scipy_s_and_deviation_numpy_s():
    random = np.random.default_rng(0)
    parts = {name: random.permutation(200) / 1.99 for name in "abc"}
    found = table(across_trainings.findings("vog", {n: standing(p) for n, p in parts.items()}))
    for one, other in ("ab", "ac", "bc"):
        want = spearmanr(parts[one], parts[other]).statistic
        assert found[f"{one} x {other}", "spearman"] == pytest.approx(want)
    deviation = np.std(np.stack(list(parts.values())), axis=0).mean()
    assert found["all", "instance_sd"] == pytest.approx(deviation)


def test_rows_that_one_training_does_not_rank_are_left_out():
    one = standing([0, 50, math.nan, 100], ids=[1, 2, 3, 4])
    other = standing([0, 60, 100], ids=[1, 2, 4])
    found = across_trainings.findings("vog", {"a": one, "b": other})
    assert {f.rows for f in found if f.part == "a x b"} == {3}
    assert table(found)["all", "instance_sd"] == pytest.approx(5 / 3)


def test_detection_by_hand():
    clean = np.array([0.1, 0.2, 0.3, math.nan])
    others = {"fog": np.array([0.4, 0.5]), "shear": np.array([0.15, 0.25, math.nan])}
    found = table(detection.findings("vog", clean, others))
    assert found["fog", "auroc"] == found["fog", "aupr_in"] == found["fog", "aupr_out"] == 1
    assert found["shear", "auroc"] == pytest.approx(0.5)
    # Highest first: clean, shear, clean, shear, clean.
    assert found["shear", "aupr_out"] == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert found["shear", "aupr_in"] == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)
    assert found["mean", "auroc"] == pytest.approx(0.75)
    spreads = {f.measure: f.spread for f in detection.findings("vog", clean, others) if f.spread}
    assert spreads["auroc"] == pytest.approx(0.25)


def test_in_the_plane_points_near_the_boundary_have_the_higher_vog():
    made = plane_vog.toy(0)
    found = table(plane_vog.findings({0: made}))
    assert found["seed 0", "accuracy"] > 0.9
    assert found["seed 0", "spearman"] < -0.5
    assert found["seed 0", "vog_near"] > 2 * found["seed 0", "vog_far"]
    assert found["all", "spearman"] == found["seed 0", "spearman"]
    np.testing.assert_array_equal(plane_vog.toy(0).vog, made.vog)


def test_the_toy_s_distance_is_that_to_the_boundary():
    """Of a net that tells classes apart by x alone, the boundary is a vertical line."""

    class Half(plane_vog.nn.Module):
        def forward(self, images):
            x = images.flatten(1)[:, 0]
            return plane_vog.torch.stack([0.5 - x, x - 0.5], dim=1)

    points = np.random.default_rng(0).random((100, 2))
    distance = plane_vog._distance(Half(), points)
    np.testing.assert_allclose(distance, np.abs(points[:, 0] - 0.5), atol=3e-3)
