import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import pearsonr, spearmanr

from scoring.analysis.score_table import Scores
from scoring.analysis.statistics import (
    Percentiles,
    pearson,
    percentiles_of,
    spearman,
    tenths,
)
from scoring.score.ranking import rank


def percentiles_by(value, ids=None, direction="high"):
    ids = np.arange(len(value)) if ids is None else ids
    label = np.zeros(len(value), dtype=np.int64)
    ranks = rank(value=value, label=label, example_id=ids, direction=direction)
    return Percentiles(ids=ids, percentile=ranks.percentile)


def scores_of(ids) -> Scores:
    return Scores.from_table(
        pa.table(
            {
                "example_id": pa.array(ids, pa.int64()),
                "label": pa.array([0] * len(ids), pa.int32()),
                "predicted": pa.array([0] * len(ids), pa.int32()),
                "rank": pa.array(range(len(ids)), pa.int64()),
                "percentile": pa.array([float(i) for i in ids]),
            }
        )
    )


def test_correlations_are_scipys_whatever_the_ties():
    random = np.random.default_rng(0)
    base = random.normal(size=500)
    values = [base, np.round(base + random.normal(size=500)), random.integers(0, 3, 500) * 1.0]
    got = spearman([percentiles_by(v) for v in values])
    want = spearmanr(np.stack(values, axis=1)).statistic
    np.testing.assert_allclose(got, want, atol=1e-12)  # the same sums in another order


def test_metrics_agree_whatever_their_direction():
    value = np.random.default_rng(1).normal(size=50)
    distance, divergence = percentiles_by(value), percentiles_by(-value, direction="low")
    np.testing.assert_allclose(spearman([distance, divergence]), 1.0)
    assert spearman([distance, percentiles_by(value, direction="low")])[0, 1] == pytest.approx(-1)


def test_only_examples_that_every_metric_ranks_are_compared():
    first = Percentiles(
        ids=np.array([1, 2, 3, 4, 9]), percentile=np.array([0, 30, 70, np.nan, 100.0])
    )
    second = Percentiles(ids=np.array([2, 3, 4, 9]), percentile=np.array([10.0, 90, 50, 20]))
    want = spearmanr([30, 70, 100], [10, 90, 20]).statistic
    assert spearman([first, second])[0, 1] == pytest.approx(want)


def test_constants_and_pairs_of_examples_have_no_correlation():
    constant = Percentiles(ids=np.arange(5), percentile=np.full(5, 50.0))
    varied = Percentiles(ids=np.arange(5), percentile=np.arange(5.0))
    got = spearman([constant, varied])
    assert np.isnan(got[0]).all()
    assert np.isnan(got[:, 0]).all()
    assert got[1, 1] == pytest.approx(1)
    assert np.isnan(spearman([percentiles_by(np.array([1.0, 2.0]))])).all()


def test_pearson_is_scipys_pair_by_pair():
    random = np.random.default_rng(3)
    values = random.normal(size=(3, 200)) + random.normal(size=200)
    values[1, :50] = np.nan  # as if never reliable
    values[2, 40:90] = np.nan
    got = pearson(values)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        both = ~np.isnan(values[[i, j]]).any(axis=0)
        want = pearsonr(values[i, both], values[j, both]).statistic
        assert got[i, j] == got[j, i] == pytest.approx(want, abs=1e-12)
    np.testing.assert_allclose(np.diag(got), 1)


def test_constants_and_pairs_of_examples_have_no_pearson():
    varied, constant = np.random.default_rng(4).random(9), np.full(9, 0.1)
    few = np.full(9, np.nan)
    few[:2] = 1, 2
    got = pearson(np.stack([varied, constant, few]))
    assert got[0, 0] == pytest.approx(1)
    assert np.isnan(got[1:]).all()
    assert np.isnan(got[:, 1:]).all()


def test_tenths_of_a_ranking():
    ranks = np.array([-1, 0, 9, 10, 99, 95])
    np.testing.assert_array_equal(tenths(ranks), [-1, 0, 0, 1, 9, 9])
    np.testing.assert_array_equal(tenths(np.array([-1, 0, 1])), [-1, 0, 5])


def test_percentiles_are_found_by_id():
    found = percentiles_of(scores_of([7, 3, 5]))
    np.testing.assert_array_equal(found.lookup(np.array([5, 7, 4, 99, 0])), [5, 7, *[np.nan] * 3])
