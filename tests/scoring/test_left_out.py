"""Who is left out depends on ids, seed and round alone, evenly and as if by chance."""

from itertools import combinations

import numpy as np
import pytest

from scoring.left_out import LeftOut, folds_of
from scoring.run_spec import NetSpec, Recipe
from scoring.runs.fleet import PRESETS, FleetSize, Hardware, build_fleet
from scoring.store.keys import digest

IDS = np.arange(3000)


def members(preset="demo", **choices):
    fleet = build_fleet(
        PRESETS[preset],
        net=NetSpec(name="mlp"),
        recipe=Recipe(),
        hardware=Hardware(),
        train_rows=1000,
        **{"seed": 0, **choices},
    )
    return fleet.ensemble


def left_out(runs, ids=IDS):
    """Return which rows each run leaves out, [M, N]."""
    return np.array([run.left_out.holds(ids) for run in runs])


def test_folds_stay_what_they_are():
    """Runs that were trained long ago left these out; another hash would lie about them."""
    ids = np.array([0, 1, 2, 3, 4, 5, 6, 7, 10**6, 2**40, 2**63 - 1])
    assert folds_of(ids, 0, 0, 3).tolist() == [2, 0, 1, 1, 2, 2, 2, 2, 0, 0, 0]
    assert folds_of(ids, 7, 5, 10).tolist() == [0, 0, 5, 1, 9, 5, 2, 6, 6, 0, 0]


def test_folds_are_those_of_the_published_generator():
    """Java's SplittableRandom and many papers print the sequence of SplitMix64."""
    mask = 2**64 - 1
    key = int(digest([4, "fold", 2])[:16], 16)

    def number(position):
        z = (key + (position + 1) * 0x9E3779B97F4A7C15) & mask
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)

    ids = [0, 1, 999, 2**33, 2**62 + 5]
    assert folds_of(np.array(ids), 4, 2, 7).tolist() == [number(id_) % 7 for id_ in ids]


@pytest.mark.parametrize("folds", [2, 3, 5])
@pytest.mark.parametrize("preset", PRESETS)
def test_every_row_is_left_out_by_one_member_of_each_round(preset, folds):
    runs = members(preset, folds=folds)
    rounds = len(runs) // folds
    assert len(runs) == rounds * folds
    assert PRESETS[preset].ensemble <= len(runs) < PRESETS[preset].ensemble + folds
    outside = left_out(runs)
    assert (outside.sum(axis=0) == rounds).all()
    assert (outside.reshape(rounds, folds, -1).sum(axis=1) == 1).all()


def test_presets_are_whole_rounds_of_three():
    assert [len(members(name)) for name in ("demo", "standard", "paper")] == [6, 21, 99]


def test_folds_are_of_even_size():
    shares = left_out(members("paper")).mean(axis=1)
    deviation = np.sqrt(1 / 3 * 2 / 3 / len(IDS))
    assert np.abs(shares - 1 / 3).max() < 4 * deviation
    assert shares.std() == pytest.approx(deviation, rel=0.25)


def test_pairs_of_rows_are_left_out_together_as_often_as_chance_says():
    """In each round two rows share a fold with probability 1/3, so binomially over 33 rounds."""
    rounds = 33
    outside = left_out(members("paper"), IDS[:400]).astype(int)
    together = (outside.T @ outside)[np.triu_indices(400, 1)]
    expected, variance = rounds / 3, rounds * 1 / 3 * 2 / 3
    assert together.mean() == pytest.approx(expected, abs=0.05)
    assert together.var() == pytest.approx(variance, rel=0.05)


def test_neighbours_and_rounds_have_nothing_to_do_with_each_other():
    rounds = np.array([folds_of(IDS, 0, number, 3) for number in range(20)])
    deviation = np.sqrt(1 / 3 * 2 / 3 / len(IDS))
    for one, other in combinations(rounds, 2):
        assert abs((one == other).mean() - 1 / 3) < 5 * deviation
    for step in (1, 2, 3, 1000):
        assert abs((rounds[:, step:] == rounds[:, :-step]).mean() - 1 / 3) < 5 * deviation


def test_order_and_batches_do_not_matter():
    (run, *_) = members()
    whole = run.left_out.holds(IDS)
    order = np.random.default_rng(0).permutation(len(IDS))
    np.testing.assert_array_equal(run.left_out.holds(IDS[order]), whole[order])
    parts = [run.left_out.holds(part) for part in np.array_split(IDS, 7)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_another_seed_cuts_the_rows_anew():
    one, other = (left_out(members(seed=seed)) for seed in (0, 1))
    assert abs((one == other).mean() - 5 / 9) < 0.03  # both leave it out, or neither does


def test_a_round_trains_one_net_and_rounds_differ_in_capacity():
    size = FleetSize(bases=1, ensemble=18, pairs=0, epsilons=(), private_seeds=0)
    fleet = build_fleet(
        size,
        net=NetSpec(name="mlp"),
        recipe=Recipe(),
        hardware=Hardware(),
        seed=0,
        train_rows=1000,
    )
    widths = [run.net.width for run in fleet.ensemble]
    assert widths == [width for width in (1.0, 0.5, 1.5, 0.75, 1.25, 2.0) for _ in range(3)]
    assert len({run.seed for run in fleet.ensemble}) == 18
    assert {run.share for run in fleet.ensemble} == {1 - 1 / 3}


def test_members_that_differ_in_seed_alone_leave_out_nothing():
    runs = members(ensemble="seeds")
    assert {run.left_out for run in runs} == {None}
    assert {run.share for run in runs} == {1.0}
    assert len(runs) == PRESETS["demo"].ensemble


def test_a_member_s_key_says_what_it_leaves_out():
    specs = [LeftOut(seed=0, round=r, fold=f, folds=3) for r in range(2) for f in range(3)]
    assert len({digest(spec) for spec in specs}) == 6
