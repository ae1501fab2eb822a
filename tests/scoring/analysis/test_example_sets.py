"""Sets from hand-made percentiles with known answers."""

import numpy as np
import pytest

from scoring.analysis import example_sets
from scoring.analysis.clusters import Map
from scoring.analysis.example_sets import ClassPercentiles, Cuts, Evidence
from scoring.analysis.joined_scores import JoinedScores

MEMORIZED, SUBMODES, CANONICAL = (
    "memorized_exceptions",
    "uncommon_submodes",
    "canonical_prototypes",
)
# (boundary, ensemble, priv), and the sets they belong to
ROWS = {
    "memorized": ((50, 75, 50), {MEMORIZED}),
    "memorized and uncommon": ((10, 90, 25), {MEMORIZED, SUBMODES}),
    "boundary too far": ((50.1, 75, 50), set()),
    "ensemble too unsure": ((50, 74.9, 50), set()),
    "privacy too strong": ((50, 75, 50.1), set()),
    "uncommon by boundary": ((50, 0, 25), {SUBMODES}),
    "uncommon by ensemble": ((0, 50, 25), {SUBMODES}),
    "outlying by all": ((49.9, 49.9, 0), set()),
    "canonical": ((75, 75, 75), {CANONICAL}),
    "all but privacy": ((100, 100, 74.9), set()),
    "all but boundary": ((74.9, 100, 100), set()),
    "not ranked by one": ((np.nan, 100, 0), set()),
    "the highest privacy": ((20, 20, 100), set()),
}


def percentiles_of(rows, label=None):
    boundary, ensemble, priv = np.array(rows, float).T
    label = np.zeros(len(rows), np.int64) if label is None else np.asarray(label)
    return ClassPercentiles(label=label, boundary=boundary, ensemble=ensemble, priv=priv)


def sets_of(rows, label=None, **cuts):
    percentiles = percentiles_of(rows, label)
    sets = example_sets.example_sets(percentiles, Cuts(**cuts))
    return [{name for name, flags in sets.items() if flags[i]} for i in range(len(rows))]


def test_default_cuts():
    found = sets_of([row for row, _ in ROWS.values()])
    assert dict(zip(ROWS, found, strict=True)) == {name: sets for name, (_, sets) in ROWS.items()}


def test_every_cut_can_be_moved():
    assert sets_of([(60, 70, 60)]) == [set()]
    assert sets_of([(60, 70, 60)], memorized_ensemble=70, memorized_others=60) == [{MEMORIZED}]
    assert sets_of([(0, 0, 0), (40, 0, 30)], submode_priv=30, submode_others=40)[1] == {SUBMODES}
    assert sets_of([(60, 70, 60)], canonical=60) == [{CANONICAL}]


def test_the_strongest_privacy_of_a_class_is_canonical_however_many_share_it():
    rows = [(80, 80, 60), (80, 80, 60), (80, 80, 30), (80, 80, 60), (80, 80, 90)]
    assert sets_of(rows, label=[0, 0, 0, 1, 1]) == [
        {CANONICAL},
        {CANONICAL},
        set(),
        set(),
        {CANONICAL},
    ]


def test_examples_without_a_class_are_in_no_set():
    assert sets_of([(80, 80, 90), (10, 90, 10)], label=[-1, -1]) == [set(), set()]


def test_the_highest_percentile_counts_unless_one_is_missing():
    class_percentile = {
        "adv_l2": np.array([10.0, 90, 50]),
        "ret": np.array([30.0, 20, np.nan]),
        "agr": np.array([1.0, 2, 3]),
        "conf": np.array([3.0, 2, 1]),
        "priv": np.array([5.0, 6, 7]),
    }
    scores = JoinedScores(
        ids=np.arange(3), label=np.zeros(3, np.int64), value={}, percentile={},
        class_percentile=class_percentile, left_out=0,
    )  # fmt: skip
    percentiles = example_sets.class_percentiles(scores, Evidence())
    np.testing.assert_array_equal(percentiles.boundary, [30, 90, np.nan])
    np.testing.assert_array_equal(percentiles.ensemble, [3, 2, 3])
    np.testing.assert_array_equal(percentiles.priv, [5, 6, 7])
    np.testing.assert_array_equal(percentiles.known, [True, True, False])
    by_one = example_sets.class_percentiles(scores, Evidence(boundary=("adv_l2",)))
    np.testing.assert_array_equal(by_one.boundary, [10, 90, 50])


@pytest.fixture
def percentiles():
    return percentiles_of([row for row, _ in ROWS.values()], label=np.arange(len(ROWS)) % 2)


@pytest.fixture
def sets(percentiles):
    return example_sets.example_sets(percentiles, Cuts())


def test_sizes_and_overlaps_are_counted(sets, percentiles):
    found = {
        (f.subject, f.part): f for f in example_sets.findings(sets, percentiles, ["bag", "coat"])
    }
    for name, flags in sets.items():
        sizes = [found[name, part].value for part in ("all", "bag", "coat")]
        assert sizes == [flags.sum(), flags[::2].sum(), flags[1::2].sum()]
    assert found[MEMORIZED, "all"].rows == len(ROWS) - 1  # one is not ranked
    assert found[f"{MEMORIZED} x {SUBMODES}", "all"].value == 1
    assert found[f"{MEMORIZED} x {CANONICAL}", "all"].value == 0
    assert {f.measure for f in found.values()} == {"examples"}


def test_member_columns_are_sorted_by_set_class_and_id(sets, percentiles):
    ids = 10 + 3 * np.arange(len(ROWS))
    columns = example_sets.member_columns(sets, percentiles, ids)
    keys = list(zip(columns["set"], columns["label"], columns["example_id"], strict=True))
    assert keys == sorted(keys)
    assert len(keys) == sum(flags.sum() for flags in sets.values())
    for i, row in enumerate((columns["example_id"] - 10) // 3):
        assert sets[columns["set"][i]][row]
        assert columns["priv"][i] == percentiles.priv[row]
    groups = example_sets.groups(columns)
    assert [*groups] == list(dict.fromkeys((name, label) for name, label, _ in keys))
    for (name, label), rows in groups.items():
        assert {*columns["set"][rows]} == {name}
        assert {*columns["label"][rows]} == {label}
    assert sum(rows.stop - rows.start for rows in groups.values()) == len(keys)


def test_map_columns_belong_to_the_right_rows(sets, percentiles):
    ids = np.arange(len(ROWS))
    columns = example_sets.member_columns(sets, percentiles, ids)
    group = (SUBMODES, int(percentiles.label[5]))
    drawn = Map(ids=np.array([5]), places=np.array([[1.5, -2.0]]), cluster=np.array([-1]))
    found = example_sets.map_columns(columns, {group: drawn})
    (at,) = np.flatnonzero(columns["example_id"] == 5)
    assert (found["x"][at], found["y"][at], found["cluster"][at]) == (1.5, -2, -1)
    for column in found.values():
        assert np.isnan(np.delete(column, at)).all()


def test_no_examples_give_empty_sets():
    percentiles = percentiles_of(np.empty((0, 3)))
    sets = example_sets.example_sets(percentiles, Cuts())
    columns = example_sets.member_columns(sets, percentiles, np.arange(0))
    assert len(columns["set"]) == 0
    assert example_sets.groups(columns) == {}
    assert example_sets.map_columns(columns, {})["x"].shape == (0,)


def test_share_of_the_lowest():
    sets = {"exceptions": np.array([True, False, True, False, True])}
    percentile = {"adv_l2": np.array([100.0, 0.0, 25.0, 50.0, np.nan])}
    (found,) = example_sets.among_lowest(sets, percentile, 2)
    assert (found.subject, found.part, found.value) == ("exceptions", "lowest 2 by adv_l2", 0.5)
    assert not example_sets.among_lowest(sets, percentile, 4)
