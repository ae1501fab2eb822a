import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from scoring.analysis import across_trainings
from scoring.analysis.statistics import Percentiles


def by_part(findings):
    return {(f.part, f.measure): f.value for f in findings}


def ranking(percentile, ids=None):
    ids = np.arange(len(percentile)) if ids is None else ids
    return Percentiles(ids=np.asarray(ids), percentile=np.asarray(percentile, float))


def test_equal_rankings_agree_completely():
    same = ranking(np.linspace(0, 100, 50))
    found = across_trainings.findings("vog", {"a": same, "b": same, "c": same})
    assert by_part(found)["all", "spearman"] == pytest.approx(1)
    assert by_part(found)["all", "instance_sd"] == pytest.approx(0, abs=1e-12)
    assert {f.part for f in found} == {"a x b", "a x c", "b x c", "all"}


def test_agreement_is_scipys_and_deviation_numpys():
    random = np.random.default_rng(0)
    parts = {name: random.permutation(200) / 1.99 for name in "abc"}
    found = by_part(across_trainings.findings("vog", {n: ranking(p) for n, p in parts.items()}))
    for one, other in ("ab", "ac", "bc"):
        want = spearmanr(parts[one], parts[other]).statistic
        assert found[f"{one} x {other}", "spearman"] == pytest.approx(want)
    deviation = np.std(np.stack(list(parts.values())), axis=0).mean()
    assert found["all", "instance_sd"] == pytest.approx(deviation)


def test_rows_that_one_training_does_not_rank_are_left_out():
    one = ranking([0, 50, math.nan, 100], ids=[1, 2, 3, 4])
    other = ranking([0, 60, 100], ids=[1, 2, 4])
    found = across_trainings.findings("vog", {"a": one, "b": other})
    assert {f.rows for f in found if f.part == "a x b"} == {3}
    assert by_part(found)["all", "instance_sd"] == pytest.approx(5 / 3)
