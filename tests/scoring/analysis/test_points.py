import numpy as np
import pytest

from scoring.analysis.attribution import Example
from scoring.analysis.joined_scores import JoinedScores
from scoring.analysis.points import example_points, pair_points, sample_rows

ROWS = 4000


def weights(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(ROWS)


def test_few_rows_are_all_shown() -> None:
    np.testing.assert_array_equal(sample_rows([weights(0)[:300]], most=300), np.arange(300))


def test_many_rows_are_sampled_but_for_the_strongest_of_each_sign() -> None:
    methods = [weights(0), weights(1)]
    rows = sample_rows(methods, most=1000)
    assert len(rows) == 1000
    assert (np.diff(rows) > 0).all()
    for values in methods:
        order = np.argsort(values)
        assert {*order[:25], *order[-25:]} <= {*rows}
    # 900 or more at random: 225 from each quarter, with a standard deviation of 13 or less.
    quarters = np.histogram(rows, bins=4, range=(0, ROWS))[0]
    assert abs(quarters - 250).max() < 65
    np.testing.assert_array_equal(sample_rows(methods, most=1000), rows)


@pytest.fixture
def example() -> Example:
    return Example(
        position=3,
        label=1,
        predicted=0,
        distance=np.array([1.0, 2.0, 3.0]),
        values={"representer": np.array([0.1, -0.2, 0.3]), "influence": np.array([4.0, 5.0, -6.0])},
    )


def test_points_of_an_example_have_distance_and_values(example: Example) -> None:
    found = example_points(
        example, 70, np.array([11, 12, 13]), np.array([0, 2, 1]), ["cat", "dog", "cow"]
    )
    values = {(f.subject, f.measure): (f.part, f.value) for f in found}
    assert values["test 70", "label"] == ("dog", 1)
    assert values["test 70", "predicted"] == ("cat", 0)
    assert values["train 12", "distance"] == ("cow", 2.0)
    assert values["train 12", "representer"] == ("cow", -0.2)
    assert values["train 13", "influence"] == ("dog", -6.0)
    assert len(values) == 2 + 3 * 3
    assert {f.rows for f in found if f.subject == "test 70"} == {3}


def test_points_of_a_pair_are_ranked_by_both() -> None:
    percentile = {
        "adv_l2": np.array([0.0, 50, 100, np.nan]),
        "conf": np.array([100.0, 0, 50, 75]),
        "priv": np.full(4, np.nan),
    }
    scores = JoinedScores(
        ids=np.array([3, 5, 8, 9]),
        label=np.array([1, 0, -1, 0]),
        value={},
        percentile=percentile,
        class_percentile={},
        left_out=0,
    )
    found = [
        (f.subject, f.part, f.measure, f.value)
        for f in pair_points(scores, ("conf", "adv_l2"), ["bag", "coat"])
    ]
    assert found == [
        ("example 3", "coat", "conf", 100),
        ("example 3", "coat", "adv_l2", 0),
        ("example 5", "bag", "conf", 0),
        ("example 5", "bag", "adv_l2", 50),
        ("example 8", "", "conf", 50),
        ("example 8", "", "adv_l2", 100),
    ]
