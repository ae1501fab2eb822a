import numpy as np
import pyarrow as pa
import pytest

from scoring.analysis import class_spread
from scoring.analysis.class_spread import chances_above
from scoring.analysis.score_table import Scores
from scoring.score.ranking import rank

NAMES = ("bag", "coat", "shirt")


def scores_of(value, label):
    ids, label = np.arange(len(value)), np.asarray(label)
    status = np.where(np.isnan(value), "undecodable_image", "")
    ranks = rank(value=value, label=label, example_id=ids, direction="high", status=status)
    unknown = label < 0
    return Scores.from_table(
        pa.table(
            {
                "example_id": ids,
                "label": pa.array(label, pa.int32(), mask=unknown),
                "predicted": pa.array(label, pa.int32(), mask=unknown),
                "rank": pa.array(ranks.rank, mask=ranks.rank < 0),
                "percentile": pa.array(ranks.percentile, from_pandas=True),
            }
        )
    )


def found_of(value, label, names=NAMES):
    found = class_spread.findings("conf", scores_of(value, label), names)
    return {(f.part, f.measure): f for f in found}


def test_shares_are_computed_in_each_tenth():
    label = np.random.default_rng(0).integers(0, 3, 200)
    value = np.random.default_rng(1).permutation(200).astype(float)
    found = found_of(value, label)
    for tenth in range(10):
        there = label[(value >= 20 * tenth) & (value < 20 * (tenth + 1))]
        shares = [found[str(tenth + 1), f"share of {name}"] for name in NAMES]
        assert [f.value for f in shares] == pytest.approx(np.bincount(there, minlength=3) / 20)
        assert {f.rows for f in shares} == {20}
        assert found[str(tenth + 1), "largest_share"].value == max(f.value for f in shares)


def test_a_metric_that_ranks_one_class_above_all_others_is_exposed():
    label = np.repeat([0, 1, 2], 40)
    value = np.concatenate([np.arange(40.0), 100 + np.random.default_rng(0).permutation(80)])
    found = found_of(value, label)
    assert found["all", "separation"].value == 1
    assert found["1", "coverage"].value == pytest.approx(1 / 3)
    assert found["1", "largest_share"].value == 1
    assert found["10", "coverage"].value == pytest.approx(2 / 3)


def test_a_random_ranking_separates_no_classes():
    label = np.arange(3000) % 3
    found = found_of(np.random.default_rng(0).random(3000), label)
    assert 0.5 <= found["all", "separation"].value < 0.53
    assert found["1", "coverage"].value == found["10", "coverage"].value == 1


def test_chances_are_shares_of_all_pairs():
    random = np.random.default_rng(0)
    percentile, label = 100 * random.random(300), random.integers(0, 3, 300)
    chances = chances_above(percentile, label, 4)
    for i in range(3):
        for j in range(3):
            if i != j:
                above = percentile[label == i][:, None] > percentile[label == j]
                assert chances[i, j] == pytest.approx(above.mean(), abs=1e-3)
    assert np.isnan(np.diag(chances)).all()
    assert np.isnan(chances[3]).all()


def test_ties_count_half():
    chances = chances_above(np.array([50.0, 50.0, 100.0]), np.array([0, 1, 1]), 2)
    assert chances[1, 0] == pytest.approx(0.75)


def test_rows_without_rank_or_label_are_ignored():
    value = np.array([1.0, 2.0, np.nan, 3.0, 4.0])
    found = found_of(value, [0, 1, 1, -1, 0])
    assert sum(f.rows for (_, measure), f in found.items() if measure == "coverage") == 3
    assert found["all", "separation"].rows == 2


def test_a_single_class_has_no_separation():
    found = found_of(np.arange(20.0), np.zeros(20, np.int64))
    assert np.isnan(found["all", "separation"].value)
    assert found["1", "coverage"].value == 1
