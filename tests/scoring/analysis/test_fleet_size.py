import numpy as np
import pytest

from scoring.analysis import fleet_size


def test_halves_share_no_run_and_have_runs_of_each_kind():
    kinds = [epsilon for epsilon in "abcd" for _ in range(4)]
    one, other = fleet_size.halves(kinds, 0)
    assert sorted(one + other) == list(range(16))
    for half in (one, other):
        assert sorted(kinds[run] for run in half) == sorted("aabbccdd")
        assert len({kinds[run] for run in half[:4]}) == len({kinds[run] for run in half[4:]}) == 4
    assert fleet_size.halves(kinds, 0) == (one, other)
    assert fleet_size.halves(kinds, 1) != (one, other)


def test_an_odd_run_is_left_out():
    one, other = fleet_size.halves(["a"] * 5, 3)
    assert len(one) == len(other) == 2
    assert len({*one, *other}) == 4


def test_larger_fleets_agree_better_by_the_spearman_brown_formula():
    assert fleet_size.predicted_agreement(0.5, 2) == pytest.approx(2 / 3)
    assert fleet_size.predicted_agreement(0.8, 1) == pytest.approx(0.8)
    assert fleet_size.runs_needed(0.5, 10, 2 / 3) == pytest.approx(20)
    assert fleet_size.predicted_agreement(0.7, fleet_size.runs_needed(0.7, 5, 0.95) / 5) >= 0.95
    assert fleet_size.runs_needed(1.0, 10, 0.95) == 10
    assert np.isnan(fleet_size.runs_needed(-0.1, 10, 0.95))
    assert np.isnan(fleet_size.runs_needed(np.nan, 10, 0.95))


def test_the_formula_holds_for_means_of_exchangeable_runs():
    random = np.random.default_rng(0)
    truth, runs = random.normal(size=20_000), random.normal(size=(40, 20_000)) * 2
    values = truth + runs

    def agreement(size):
        parts = values[:size].mean(axis=0), values[20 : 20 + size].mean(axis=0)
        return np.corrcoef(parts)[0, 1]

    # The standard error of a correlation of 20 000 pairs is below 0.007.
    assert fleet_size.predicted_agreement(agreement(5), 4) == pytest.approx(agreement(20), abs=0.03)


def test_findings():
    found = fleet_size.findings("conf", 8, {2: [0.8, 0.9], 4: [0.9, 1.0]}, {4: [0.5, 0.7]}, 0.85)
    values = {(f.part, f.measure): (f.value, f.rows) for f in found}
    assert values["2", "spearman_with_all"] == (pytest.approx(0.85), 2)
    assert values["4", "spearman_of_halves"] == (pytest.approx(0.6), 2)
    assert values["", "spearman_of_fleets"] == (pytest.approx(0.75), 8)
    assert values["", "runs_enough"] == (16, 8)
