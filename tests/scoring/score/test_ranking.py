import numpy as np
import pytest
from scipy import stats

from scoring.score.ranking import RankColumns, rank

NAN = np.nan
ENDS = {"too_far": "prototypical", "too_near": "outlying"}


def ranked(value, *, label=None, status=None, tiebreak=None, ids=None, direction="high", **options):
    n = len(value)
    return rank(
        value=np.array(value, dtype=np.float64),
        label=np.zeros(n, dtype=np.int64) if label is None else np.array(label, dtype=np.int64),
        status=None if status is None else np.array(status, dtype=np.str_),
        tiebreak=None if tiebreak is None else np.array(tiebreak, dtype=np.float64),
        example_id=np.arange(n) if ids is None else np.array(ids, dtype=np.int64),
        direction=direction,
        ends=ENDS,
        **options,
    )


def drawn(n, *, classes, seed=0):
    """Return values with many ties, some missing, in random class and id order."""
    random = np.random.default_rng(seed)
    value = random.integers(0, n // 3, n) / 7.0
    status = np.full(n, "", dtype="<U20")
    for reason in (*ENDS, "undecodable_image"):
        rows = random.choice(n, n // 20, replace=False)
        value[rows], status[rows] = NAN, reason
    return {
        "value": value,
        "label": random.integers(-1, classes, n),
        "status": status,
        "tiebreak": random.integers(0, 3, n) / 2,
        "example_id": random.permutation(10 * n)[:n],
    }


@pytest.mark.parametrize(("direction", "sign"), [("high", 1), ("low", -1)])
def test_rank_and_percentile_agree_with_scipy(direction, sign):
    value = np.random.default_rng(0).integers(0, 40, 300) / 3.0
    got = ranked(value, direction=direction)
    np.testing.assert_array_equal(got.rank, stats.rankdata(sign * value, method="ordinal") - 1)
    mean_rank = stats.rankdata(sign * value, method="average") - 1
    np.testing.assert_allclose(got.percentile, 100 * mean_rank / 299, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("direction", "sign"), [("high", 1), ("low", -1)])
def test_within_classes_agrees_with_scipy(direction, sign):
    random = np.random.default_rng(1)
    value, label = random.integers(0, 40, 300) / 3.0, random.integers(0, 5, 300)
    got = ranked(value, label=label, direction=direction)
    for c in range(5):
        rows = label == c
        mean_rank = stats.rankdata(sign * value[rows], method="average") - 1
        want = 100 * mean_rank / (rows.sum() - 1)
        np.testing.assert_allclose(got.class_percentile[rows], want, rtol=0, atol=1e-12)
        # z is a statement about the value, whatever the direction
        np.testing.assert_allclose(got.class_z[rows], stats.zscore(value[rows]), rtol=1e-12)


def test_hand_made_table():
    got = ranked([3.0, 1.0, 2.0, 1.0, 5.0], label=[0, 0, 1, 1, 1])
    np.testing.assert_array_equal(got.rank, [3, 0, 2, 1, 4])
    np.testing.assert_array_equal(got.percentile, [75, 12.5, 50, 12.5, 100])
    np.testing.assert_array_equal(got.class_percentile, [50, 50, 50, 0, 100])
    np.testing.assert_allclose(got.class_z[:2], [1, -1])
    np.testing.assert_allclose(got.class_z[2:], np.array([-2, -5, 7]) / np.sqrt(26), rtol=1e-14)


def test_low_is_high_backwards():
    value = [3.0, 1.0, 2.0, 7.0, 5.0]
    high, low = ranked(value), ranked(value, direction="low")
    np.testing.assert_array_equal(low.rank, 4 - high.rank)
    np.testing.assert_array_equal(low.percentile, 100 - high.percentile)
    np.testing.assert_array_equal(low.class_z, high.class_z)


def test_missing_values_rank_at_the_end_of_their_status():
    got = ranked(
        [NAN, 0.9, NAN, NAN, 0.1, NAN],
        status=["too_far", "", "too_near", "undecodable_image", "", "too_far"],
        direction="low",  # the end of a status does not depend on the direction
    )
    np.testing.assert_array_equal(got.rank, [3, 1, 0, -1, 2, 4])
    np.testing.assert_array_equal(got.percentile, [87.5, 25, 0, NAN, 50, 87.5])
    np.testing.assert_array_equal(got.class_percentile, got.percentile)
    np.testing.assert_array_equal(got.class_z, [NAN, 1, NAN, NAN, -1, NAN])


@pytest.mark.parametrize("ends", [None, {"too_near": "outlying"}])
def test_only_statuses_with_an_end_are_ranked(ends):
    got = rank(
        value=np.array([NAN, 1.0, NAN]),
        label=np.zeros(3, dtype=np.int64),
        example_id=np.arange(3),
        status=np.array(["too_near", "", "too_far"]),
        direction="high",
        ends=ends,
    )
    assert got.rank.tolist() == ([0, 1, -1] if ends else [-1, 0, -1])


@pytest.mark.parametrize("reason", ["undecodable_image", "unlabelled", ""])
def test_rows_without_rank_are_outside_n(reason):
    got = ranked([1.0, NAN, 2.0, 3.0], status=["", reason, "", ""])
    np.testing.assert_array_equal(got.rank, [0, -1, 1, 2])
    np.testing.assert_array_equal(got.percentile, [0, NAN, 50, 100])


def test_ties_go_to_the_second_key_then_to_the_id():
    got = ranked([1.0, 1.0, 1.0, 0.0], tiebreak=[0.5, 0.2, 0.5, 0.9], ids=[9, 5, 3, 7])
    np.testing.assert_array_equal(got.rank, [3, 1, 2, 0])
    # the second key orders rows, but their values are still equal
    np.testing.assert_allclose(got.percentile, [200 / 3, 200 / 3, 200 / 3, 0])


def test_second_key_orders_rows_without_value():
    got = ranked([NAN, NAN, 4.0], status=["too_near"] * 2 + [""], tiebreak=[0.3, 0.1, 0.0])
    np.testing.assert_array_equal(got.rank, [1, 0, 2])


def test_unknown_class_is_ranked_among_all_but_in_no_class():
    got = ranked([1.0, 2.0, 3.0, 4.0], label=[-1, 0, 0, 0])
    np.testing.assert_array_equal(got.rank, [0, 1, 2, 3])
    np.testing.assert_array_equal(got.class_percentile, [NAN, 0, 50, 100])
    assert np.isnan(got.class_z[0])


def test_ranked_by_class_z():
    # class 1 is a hundred times class 0: its own spread decides, not its size
    value, label = [1.0, 2.0, 3.0, 100.0, 200.0, 400.0], [0, 0, 0, 1, 1, 1]
    got = ranked(value, label=label, direction="low", ranked_by="class_z")
    np.testing.assert_array_equal(got.rank, 5 - np.argsort(np.argsort(got.class_z)))
    assert set(got.rank[3:]) != {0, 1, 2}
    np.testing.assert_array_equal(got.class_percentile, [100, 50, 0, 100, 50, 0])


def test_ranked_by_class_z_leaves_out_rows_without_class():
    got = ranked([1.0, 2.0, 9.0], label=[0, 0, -1], ranked_by="class_z")
    np.testing.assert_array_equal(got.rank, [0, 1, -1])
    assert np.isnan(got.percentile[2])


@pytest.mark.parametrize(
    "value",
    [
        [0.1, 0.1, 0.1],  # their mean is 0.10000000000000002
        [7.0],
        [0.0, 5e-324],  # the squares of their distances underflow
    ],
)
def test_a_class_without_spread_has_z_zero(value):
    np.testing.assert_array_equal(ranked(value).class_z, np.zeros(len(value)))


def test_all_equal():
    got = ranked([2.5] * 4, ids=[4, 3, 2, 1])
    np.testing.assert_array_equal(got.rank, [3, 2, 1, 0])
    np.testing.assert_array_equal(got.percentile, [50] * 4)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_two_rows_or_fewer_have_percentile_50(n):
    got = ranked([4.0, 1.0][:n])
    np.testing.assert_array_equal(got.rank, [[], [0], [1, 0]][n])
    np.testing.assert_array_equal(got.percentile, [50] * n)
    np.testing.assert_array_equal(got.class_percentile, [50] * n)


def test_nothing_ranked():
    got = ranked([NAN, NAN, NAN], status=["undecodable_image"] * 3)
    np.testing.assert_array_equal(got.rank, [-1] * 3)
    assert np.isnan(got.percentile).all()


def columns(got: RankColumns):
    return [got.rank, got.percentile, got.class_percentile, got.class_z]


@pytest.mark.parametrize("ranked_by", ["value", "class_z"])
def test_the_order_of_rows_changes_no_bit(ranked_by):
    given = drawn(500, classes=7)
    whole = rank(**given, direction="low", ranked_by=ranked_by, ends=ENDS)
    shuffle = np.random.default_rng(2).permutation(500)
    moved = rank(
        **{name: column[shuffle] for name, column in given.items()},
        direction="low",
        ranked_by=ranked_by,
        ends=ENDS,
    )
    for one, other in zip(columns(whole), columns(moved), strict=True):
        np.testing.assert_array_equal(one[shuffle], other)


def test_against_a_slow_loop():
    given = drawn(200, classes=4, seed=3)
    got = rank(**given, direction="low", ends=ENDS)
    level = {"too_far": 1, "too_near": -1, "": 0}
    rows = []
    for i in range(200):
        if given["status"][i] in level:
            where = level[given["status"][i]]
            typical = -given["value"][i] if where == 0 else 0.0
            rows.append((where, typical, given["tiebreak"][i], given["example_id"][i], i))
    rows.sort()
    want = np.full(200, -1)
    for r, row in enumerate(rows):
        want[row[-1]] = r
    np.testing.assert_array_equal(got.rank, want)
    for where, typical, *_, i in rows:
        equal = [r for r, row in enumerate(rows) if row[:2] == (where, typical)]
        want_percentile = 100 * sum(equal) / len(equal) / (len(rows) - 1)
        assert got.percentile[i] == pytest.approx(want_percentile, abs=1e-12)


def test_infinite_values_are_refused_by_name():
    with pytest.raises(ValueError, match="expected finite numbers or NaN, got -inf at example 8"):
        ranked([1.0, -np.inf], ids=[7, 8])


def test_columns_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="one length"):
        ranked([1.0, 2.0], tiebreak=[1.0])
