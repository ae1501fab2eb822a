import numpy as np
import pyarrow as pa
import pytest

from scoring.analysis import windows
from scoring.analysis.score_table import Scores
from scoring.analysis.windows import LEAST, MOST, RANDOM, NetResults


def test_a_ranking_holds_the_labelled_and_ranked_examples():
    table = {
        "example_id": [5, 6, 7, 8, 9],
        "label": pa.array([1, None, 0, 2, 1], pa.int32()),
        "predicted": pa.array([1, 1, 1, 1, 1], pa.int32()),
        "rank": pa.array([3, 0, 1, None, 2], pa.int64()),
        "percentile": [100.0, 0.0, 33.3, None, 66.7],
    }
    ranked = windows.ranking(Scores.from_table(pa.table(table)))
    assert ranked.ids.tolist() == [7, 9, 5]
    assert ranked.labels.tolist() == [0, 1, 1]


def test_within_classes_any_part_of_a_ranking_holds_every_class():
    # Classes 1, 0 and 2 are ranked one after the other; class 2 has half as many examples.
    labels = np.repeat([1, 0, 2], [40, 40, 20])
    table = {
        "example_id": np.arange(100)[::-1],
        "label": labels,
        "predicted": labels,
        "rank": np.arange(100),
        "percentile": np.linspace(0, 100, 100),
    }
    scores = Scores.from_table(pa.table(table))
    ranked = windows.ranking(scores, within_classes=True)
    assert sorted(ranked.ids.tolist()) == list(range(100))
    for start in range(0, 100, 5):
        assert np.bincount(ranked.labels[start : start + 5]).tolist() == [2, 2, 1]
    for label in range(3):  # the order within a class stays
        one = windows.ranking(scores)
        of_class = [r.ids[r.labels == label].tolist() for r in (one, ranked)]
        assert of_class[0] == of_class[1]


def test_windows_reach_the_end_of_the_ranking():
    found = windows.windows(10, 4, 3)
    assert {part: places.tolist() for part, places in found.items()} == {
        "20 %": [0, 1, 2, 3],
        "50 %": [3, 4, 5, 6],
        "80 %": [6, 7, 8, 9],
    }
    assert [p[0] for p in windows.windows(10, 4, 4).values()] == [0, 4, 6]
    assert [p.tolist() for p in windows.windows(4, 4, 4).values()] == [[0, 1, 2, 3]]


def test_ends_and_random_sample():
    ids = np.array([40, 10, 30, 20, 50])
    found = windows.ends(ids, 2, seed=1)
    assert found[MOST].tolist() == [3, 4]
    assert found[LEAST].tolist() == [0, 1]
    more = windows.ends(ids, 4, seed=1)[RANDOM]
    assert more[:2].tolist() == found[RANDOM].tolist()
    assert len(set(more.tolist())) == 4
    # Another ranking of the same examples gives the same sample.
    other = ids[::-1]
    assert set(other[windows.ends(other, 2, seed=1)[RANDOM]]) == set(ids[found[RANDOM]])


def test_wrong_labels_depend_on_the_id():
    random = np.random.default_rng(0)
    ids, labels = random.permutation(20_000)[:10_000], random.integers(0, 5, 10_000)
    noisy = windows.mislabelled(ids, labels, 0.1, 5, seed=0)
    changed = noisy != labels
    assert 0.09 < changed.mean() < 0.11  # sd 0.003
    steps = np.bincount((noisy - labels)[changed] % 5, minlength=5)
    assert steps[0] == 0
    assert (steps[1:] > 0.2 * changed.sum()).all()  # expected 0.25, sd 0.014
    assert 0 <= noisy.min() <= noisy.max() <= 4
    some = slice(3000, 4000)
    again = windows.mislabelled(ids[some], labels[some], 0.1, 5, seed=0)
    assert again.tolist() == noisy[some].tolist()
    assert (windows.mislabelled(ids, labels, 0.1, 5, seed=1) != noisy).any()
    assert (windows.mislabelled(ids, labels, 0.0, 5, seed=0) == labels).all()


def test_accuracies_by_hand():
    right = np.zeros((2, 20), dtype=bool)
    right[0, :10] = right[1, :] = True
    results = NetResults(right=right)
    accuracy = results.accuracy("adv_l2", "5 %")
    assert (accuracy.value, accuracy.spread, accuracy.rows) == (0.75, 0.25, 2)
    assert results.prototype_accuracy("adv_l2", "5 %", 25).value == 0.5
    found = {f.part: f.value for f in results.accuracy_by_tenth("adv_l2")}
    assert list(found) == [str(tenth) for tenth in range(1, 11)]
    assert found["1"] == 1
    assert found["10"] == 0.5


def test_few_examples_have_fewer_tenths():
    results = NetResults(right=np.ones((1, 3), dtype=bool))
    assert [f.part for f in results.accuracy_by_tenth("adv_l2")] == ["1", "4", "7"]


@pytest.mark.parametrize(
    ("most", "least", "want"),
    [
        ({1: 0.5, 100: 0.5}, {1: 0.4, 100: 0.6}, 10),
        ({1: 0.5, 100: 0.5}, {1: 0.4, 100: 0.5}, 100),
        ({1: 0.5, 100: 0.9}, {1: 0.4, 100: 0.6}, np.nan),
        ({1: 0.5, 100: 0.5}, {1: 0.6, 100: 0.7}, np.nan),
        ({5: 0.5}, {5: 0.6}, np.nan),
    ],
)
def test_crossing(most, least, want):
    assert windows.crossing(most, least) == pytest.approx(want, nan_ok=True)
