import math

import numpy as np
import pytest
from scipy.stats import ttest_ind

from scoring.analysis import changed_labels
from scoring.analysis.changed_labels import ScoredRows


def by_part(findings):
    return {(f.part, f.measure): f.value for f in findings}


def scored(value, changed, percentile=None):
    value, changed = np.asarray(value, float), np.asarray(changed, bool)
    ranks = 100 * np.argsort(np.argsort(-value)) / (len(value) - 1)
    return ScoredRows(
        value=value, percentile=ranks if percentile is None else percentile, changed=changed
    )


def test_a_perfect_metric_finds_all_changed_labels():
    changed = np.arange(100) < 20
    value = changed + np.arange(100) / 1e3
    found = by_part(changed_labels.findings("vog", "after", scored(value, changed), 0.25))
    assert found["after", "auroc"] == 1
    assert found["after", "average_precision"] == pytest.approx(1)
    assert found["after", "precision_at_changed"] == 1
    assert found["after", "welch_t"] > 0
    assert found["after", "precision"] == 20 / 25
    assert found["after", "recall"] == 1


def test_a_random_metric_is_at_chance():
    random = np.random.default_rng(0)
    value, changed = random.normal(size=20_000), random.random(20_000) < 0.2
    found = by_part(changed_labels.findings("vog", "before", scored(value, changed), 0.4))
    assert found["before", "auroc"] == pytest.approx(0.5, abs=0.02)
    assert found["before", "average_precision"] == pytest.approx(0.2, abs=0.02)
    assert found["before", "precision_at_changed"] == pytest.approx(0.2, abs=0.02)
    test = ttest_ind(value[changed], value[~changed], equal_var=False)
    assert found["before", "welch_t"] == pytest.approx(test.statistic)
    assert found["before", "welch_p"] == pytest.approx(test.pvalue)


def test_rows_without_value_or_rank_are_ignored():
    value = np.array([3.0, math.nan, 1.0, 2.0, 0.5])
    percentile = np.array([0, math.nan, 66, 33, 100.0])
    found = changed_labels.findings("vog", "x", scored(value, [1, 1, 0, 1, 0], percentile), 0.4)
    assert by_part(found)["x", "auroc"] == 1
    assert {f.rows for f in found if f.measure not in ("precision", "recall")} == {4}
    assert {f.rows for f in found if f.measure in ("precision", "recall")} == {2}


@pytest.mark.parametrize("changed", [[0, 0, 0], [1, 1, 1]])
def test_measures_are_nan_without_changed_and_clean_rows(changed):
    found = changed_labels.findings("vog", "x", scored([1, 2, 3], changed), 0.4)
    assert all(math.isnan(f.value) for f in found if f.measure not in ("precision", "recall"))


def test_precision_and_recall_by_hand():
    picked, changed = np.array([1, 1, 1, 1, 0], bool), np.array([1, 0, 0, 0, 1], bool)
    found = by_part(
        changed_labels.precision_and_recall("memorized_exceptions", "x", picked, changed)
    )
    assert found == {("x", "precision"): 0.25, ("x", "recall"): 0.5}
    none = by_part(changed_labels.precision_and_recall("vog", "x", ~picked & ~changed, changed))
    assert math.isnan(none["x", "precision"])
    assert none["x", "recall"] == 0


def test_every_set_has_its_own_precision_and_recall():
    sets = {"a": np.array([1, 1, 0], bool), "b": np.array([0, 0, 1], bool)}
    found = changed_labels.findings_of_sets(sets, "x", np.array([1, 0, 0], bool))
    values = [(f.subject, f.measure, f.value, f.rows) for f in found]
    assert values[:2] == [("a", "precision", 0.5, 2), ("a", "recall", 1, 2)]
    assert values[2:] == [("b", "precision", 0, 1), ("b", "recall", 0, 1)]
