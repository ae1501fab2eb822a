import math

import numpy as np
import pytest
from scipy.spatial.distance import jaccard
from scipy.stats import pearsonr, spearmanr

from scoring.analysis import agreement
from scoring.analysis.agreement import jaccard_distances
from scoring.analysis.joined_scores import JoinedScores
from scoring.score.ranking import rank


def scores_of(values, label, status=None):
    """Scores of metrics with high = prototypical, ranked for real."""
    ids = np.arange(len(label))
    ranked = {
        name: rank(value=v, label=label, example_id=ids, direction="high", status=status)
        for name, v in values.items()
    }
    return JoinedScores(
        ids=ids,
        label=label,
        value=values,
        percentile={name: r.percentile for name, r in ranked.items()},
        class_percentile={name: r.class_percentile for name, r in ranked.items()},
        left_out=0,
    )


def by_key(found):
    return {(f.subject, f.part, f.measure): f for f in found}


def test_distances_are_scipys_class_by_class():
    random = np.random.default_rng(0)
    members, label = random.random((4, 300)) < 0.3, random.integers(-1, 3, 300)
    distances = jaccard_distances(members, label)
    assert distances.shape == (3, 4, 4)
    for c in range(3):
        in_class = members[:, label == c]
        for i in range(4):
            for j in range(4):
                want = jaccard(in_class[i], in_class[j])
                assert distances[c, i, j] == pytest.approx(want, abs=1e-12)


def test_an_empty_set_has_no_distance():
    distances = jaccard_distances(np.array([[1, 1, 0], [0, 0, 0]], bool), np.zeros(3, np.int64))
    assert distances[0, 0, 0] == 0
    assert np.isnan(distances[0, 1]).all()
    assert np.isnan(distances[0, :, 1]).all()


def test_findings_are_scipys():
    random = np.random.default_rng(1)
    label = np.arange(400) % 4
    base = random.normal(size=400)
    values = {name: base + random.normal(size=400) for name in ("adv", "conf", "ret")}
    values["conf"][:30] = np.nan  # these rows have no rank
    found = by_key(agreement.findings(scores_of(values, label), values, 25))
    assert {subject for subject, _, _ in found} == {"adv x conf", "adv x ret", "conf x ret"}

    def both(one, other):
        return values[one][30:], values[other][30:]

    pearson, spearman = found["adv x conf", "", "pearson"], found["adv x conf", "", "spearman"]
    assert pearson.value == pytest.approx(pearsonr(*both("adv", "conf")).statistic)
    assert spearman.value == pytest.approx(spearmanr(*both("adv", "conf")).statistic)
    assert pearson.rows == spearman.rows == 370
    # Values are compared pair by pair, ranks among examples that all metrics rank.
    assert found["adv x ret", "", "pearson"].rows == 400
    assert found["adv x ret", "", "spearman"].rows == 370


def test_ends_are_cut_within_classes():
    label = np.repeat([0, 1], 40)
    one = np.concatenate([np.arange(40.0), 100 + np.arange(40.0)])
    # The other metric reverses class 1 only.
    other = np.concatenate([np.arange(40.0), -np.arange(40.0)])
    found = by_key(
        agreement.findings(scores_of({"a": one, "b": other}, label), {"a": one, "b": other}, 25)
    )
    for part in ("lowest 25 %", "highest 25 %"):
        distance = found["a x b", part, "jaccard_distance"]
        assert (distance.value, distance.spread, distance.rows) == (0.5, 0.5, 2)


def test_there_is_no_end_where_most_of_a_class_is_tied():
    label = np.zeros(40, np.int64)
    values = {"forgetting": np.minimum(np.arange(40.0), 15), "conf": np.arange(40.0)}
    found = by_key(agreement.findings(scores_of(values, label), values, 25))
    assert found["forgetting x conf", "lowest 25 %", "jaccard_distance"].value == 0
    highest = found["forgetting x conf", "highest 25 %", "jaccard_distance"]
    assert math.isnan(highest.value)
    assert (highest.spread, highest.rows) == (None, 0)
