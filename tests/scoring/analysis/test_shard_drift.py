from itertools import combinations

import numpy as np
import pytest
from score_tables import rows_of

from scoring.analysis.score_table import Scores
from scoring.analysis.shard_drift import FEWEST_ROWS, Ranked, drift, typicality


def ranked(key, label=0) -> Ranked:
    key = np.asarray(key, dtype=np.float64)
    return Ranked(label=np.broadcast_to(label, key.shape).astype(np.int64), key=key)


def normal(rows: int, seed: int, classes: int = 3) -> Ranked:
    random = np.random.default_rng(seed)
    return ranked(random.normal(size=rows), random.integers(classes, size=rows))


def test_rows_below_the_lowest_hundredth_of_the_others_of_their_class_are_counted():
    others = ranked([*range(200), *range(1000, 1200)], np.repeat([0, 1], 200))
    shard = ranked([0.5] * 10 + [1.5] * 10 + [900] * 20, [0] * 20 + [1] * 20)
    found = drift(shard, others)
    assert (found.rows, found.others) == (40, 400)
    assert found.lowest == 10 + 20  # below 1, the second lowest of the first class; below 1001
    assert found.lift == pytest.approx(30 / (40 * 2 / 201))
    assert found.shift == pytest.approx(100 * (10 * 1 / 200 + 10 * 2 / 200) / 40 - 50)


def test_the_chance_of_the_lowest_is_exact():
    """Every way to choose which rows of one class are the shard's is as likely as any other."""
    mine, theirs = FEWEST_ROWS, 3
    both = mine + theirs
    below = [min(chosen) for chosen in combinations(range(both), theirs)]  # the others' places
    keys = np.arange(both)
    others = np.array([12, 15, 20])
    found = drift(ranked(np.setdiff1d(keys, others)), ranked(others))
    assert found.lowest == 12
    assert found.lift_p == pytest.approx(np.mean(np.array(below) >= 12))


def test_classes_are_independent():
    one = drift(ranked(np.arange(20)), ranked([5.5, 30.0]))
    two = drift(
        ranked(np.tile(np.arange(20), 2), np.repeat([0, 1], 20)),
        ranked([5.5, 30.0, 5.5, 30.0], [0, 0, 1, 1]),
    )
    assert (one.lowest, two.lowest) == (6, 12)
    draws = np.random.default_rng(0).random((20_000, 2, 22)).argsort(axis=2)
    below = draws[:, :, :2].min(axis=2).sum(axis=1)  # each class: places of its two others
    assert two.lift_p == pytest.approx(np.mean(below >= 12), abs=0.01)


@pytest.mark.parametrize("ties", [False, True])
def test_without_drift_small_chances_are_as_rare_as_they_say(ties):
    chances = []
    for seed in range(1000):
        shard, others = normal(60, 2 * seed), normal(300, 2 * seed + 1)
        if ties:
            shard = Ranked(label=shard.label, key=np.round(shard.key))
            others = Ranked(label=others.label, key=np.round(others.key))
        found = drift(shard, others)
        chances.append((found.lift_p, found.shift_p))
    lift, shift = np.array(chances).T
    assert np.mean(lift < 0.05) < 0.07
    assert 0.03 < np.mean(shift < 0.05) < 0.07


def test_a_shift_is_the_mean_percentile_among_the_others():
    others = normal(2000, 1)
    up, down = (
        drift(Ranked(label=s.label, key=s.key + move), others)
        for s, move in ((normal(400, 2), 1.0), (normal(400, 3), -1.0))
    )
    assert up.shift == pytest.approx(26, abs=3)  # Phi(1 / sqrt 2) = 0.76
    assert down.shift == pytest.approx(-26, abs=3)
    assert max(up.shift_p, down.shift_p) < 1e-20


def test_equal_rows_show_nothing():
    found = drift(ranked(np.ones(50)), ranked(np.ones(500)))
    assert (found.lowest, found.lift, found.shift) == (0, 0, 0)
    assert (found.lift_p, found.shift_p) == pytest.approx((1, 1))


def test_rows_without_rank_or_company_do_not_count_and_a_handful_is_not_judged():
    keys = np.r_[np.arange(30.0), np.full(10, np.nan)]
    label = np.r_[np.zeros(25), np.ones(5), np.zeros(10)]
    assert drift(ranked(keys, label), ranked(np.arange(100))).rows == 25
    assert drift(ranked(keys[:FEWEST_ROWS]), ranked(np.arange(100))) is not None
    assert drift(ranked(keys[: FEWEST_ROWS - 1]), ranked(np.arange(100))) is None
    assert drift(ranked(keys), ranked([])) is None


@pytest.mark.parametrize("direction", ["high", "low"])
def test_typicality_orders_each_class_as_the_ranking_does(direction):
    table = rows_of(60, direction=direction)
    scores = Scores.from_table(table)
    key = typicality(scores)
    assert np.isnan(key).sum() == (scores.rank < 0).sum() == 1
    for label in range(3):
        rows = np.flatnonzero((scores.label == label) & (scores.rank >= 0))
        assert (np.diff(key[rows[np.argsort(scores.rank[rows])]]) > 0).all()


def test_rows_ranked_for_their_status_stand_at_their_end():
    scores = Scores.from_table(rows_of(60, ends={"undecodable_image": "outlying"}))
    assert typicality(scores)[scores.rank == 0] == [-np.inf]
    scores = Scores.from_table(rows_of(60, ends={"undecodable_image": "prototypical"}))
    assert typicality(scores)[scores.rank == scores.rank.max()] == [np.inf]
