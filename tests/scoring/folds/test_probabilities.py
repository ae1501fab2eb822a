"""Out-of-bag probabilities: by hand, for few classes and for many, and as they are staged."""

import numpy as np
import pytest
import torch
from apply_metric import fold

from scoring.folds.probabilities import ALL_CLASSES, PROBABILITIES, kept
from scoring.spec import Output
from scoring.staged.probabilities import COLUMNS, probability_lists, read_probabilities
from scoring.staged.scores import read_scores, write_scores
from scoring.store.storage import Storage
from scoring.tally import Tally


def output(probabilities, seen, over_epochs=None):
    seen = None if seen is None else np.array(seen, dtype=bool)
    tally = None
    if over_epochs is not None:
        nothing = np.full(len(over_epochs), np.nan, dtype=np.float32)
        tally = Tally(
            probability=nothing,
            margin=nothing,
            wrong_since=nothing,
            probabilities=np.array(over_epochs, dtype=np.float32),
        )
    return Output(logits=torch.log(torch.tensor(probabilities)), seen=seen, tally=tally)


RUNS = [
    output([[0.7, 0.2, 0.1]] * 3, [1, 0, 1]),
    output([[0.1, 0.3, 0.6]] * 3, [0, 0, 1]),
    output([[0.5, 0.4, 0.1]] * 3, None),
]


def test_the_mean_is_over_models_that_did_not_see_the_row():
    got = fold(PROBABILITIES, RUNS)
    np.testing.assert_array_equal(got.value, [1, 2, np.nan])
    assert got.status.tolist() == ["", "", "seen_by_all"]
    np.testing.assert_allclose(got.probabilities[0], [0.1, 0.3, 0.6], rtol=1e-6)
    np.testing.assert_allclose(got.probabilities[1], [0.4, 0.25, 0.35], rtol=1e-6)
    np.testing.assert_array_equal(got.classes, [[0, 1, 2]] * 3)


def test_the_mean_over_epochs_is_that_of_the_tallies_where_there_are_some():
    runs = [
        output([[0.7, 0.2, 0.1]] * 3, [0, 0, 1], [[0.5, 0.3, 0.2], [np.nan] * 3, [np.nan] * 3]),
        output([[0.1, 0.3, 0.6]] * 3, [0, 0, 0]),
    ]
    got = fold(PROBABILITIES, runs)
    np.testing.assert_allclose(got.probabilities[:2], [[0.4, 0.25, 0.35]] * 2, rtol=1e-6)
    want = [[0.3, 0.3, 0.4], [0.4, 0.25, 0.35], [0.1, 0.3, 0.6]]
    np.testing.assert_allclose(got.over_epochs, want, rtol=1e-6)


def test_of_many_classes_there_is_no_mean_over_epochs():
    many = np.full((3, ALL_CLASSES + 1), 1 / (ALL_CLASSES + 1))
    assert fold(PROBABILITIES, [output(many, [0, 0, 0])]).over_epochs is None


def test_nothing_is_known_of_imported_models():
    got = fold(PROBABILITIES, RUNS[2:])
    assert set(got.status) == {"training_rows_unknown"}
    assert np.isnan(got.value).all()


def test_a_row_without_a_label_has_probabilities_too():
    got = fold(PROBABILITIES, RUNS, labels=[-1, -1, -1])
    assert got.status.tolist() == ["", "", "seen_by_all"]


def test_a_broken_model_leaves_no_value():
    broken = output([[np.nan] * 3] * 3, [0, 1, 1])
    got = fold(PROBABILITIES, [broken, *RUNS])
    np.testing.assert_array_equal(got.value, [np.nan, 2, np.nan])


def probabilities_of(rows, classes):
    logits = 3 * np.random.default_rng(0).standard_normal((rows, classes))
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


@pytest.mark.parametrize("classes", [2, ALL_CLASSES])
def test_up_to_fifty_classes_are_all_kept(classes):
    mean = probabilities_of(4, classes)
    which, values = kept(mean, np.zeros(4, dtype=np.int64))
    np.testing.assert_array_equal(which, [range(classes)] * 4)
    np.testing.assert_array_equal(values, mean)


def test_of_more_classes_the_ten_likeliest_and_the_label_are_kept():
    mean = probabilities_of(40, ALL_CLASSES + 1)
    order = np.argsort(-mean, axis=1)
    labels = order[np.arange(40), np.arange(40) % 12]  # among the ten in most rows, not in all
    labels[7] = -1
    which, values = kept(mean, labels)
    assert which.shape == values.shape == (40, 11)
    for row in range(40):
        want = {*order[row, :10], labels[row]} - {-1}
        assert which[row][which[row] >= 0].tolist() == sorted(want)
        chosen = which[row][: len(want)]
        np.testing.assert_array_equal(values[row, : len(want)], mean[row, chosen])
        assert (which[row, len(want) :] == -1).all()


def test_equal_probabilities_keep_the_lower_classes():
    which, _ = kept(np.full((1, 60), 1 / 60), np.array([3]))
    assert which[0].tolist() == [*range(10), -1]


@pytest.mark.parametrize("has_epochs", [False, True])
def test_lists_come_back_from_staging_in_half_precision(tmp_path, has_epochs):
    storage = Storage(str(tmp_path))
    mean = probabilities_of(5, 60)
    classes, values = kept(mean, np.array([59, 0, -1, 5, 6]))
    known = np.array([True, True, False, True, True])
    over_epochs = values / 2 if has_epochs else None
    write_scores(
        storage,
        "staging/probabilities/x.parquet",
        ids=np.arange(5),
        value=np.where(known, 2.0, np.nan),
        spread=None,
        tiebreak=None,
        status=np.where(known, "", "seen_by_all"),
        lists=probability_lists(classes, values, over_epochs, known),
    )
    rows = read_probabilities(storage, "staging/probabilities/x.parquet")
    assert rows.column_names == COLUMNS.names
    for row in range(5):
        if not known[row]:
            assert [rows[n][row].as_py() for n in ("classes", "probabilities", "over_epochs")] == [
                None
            ] * 3
            continue
        used = classes[row] >= 0
        assert rows["classes"][row].as_py() == classes[row][used].tolist()
        half = values[row][used].astype(np.float16).tolist()
        assert rows["probabilities"][row].as_py() == half
        halved = (values[row][used] / 2).astype(np.float16).tolist()
        assert rows["over_epochs"][row].as_py() == (halved if has_epochs else None)
    counts = read_scores(storage, "staging/probabilities/x.parquet").value
    np.testing.assert_array_equal(counts, [2, 2, np.nan, 2, 2])
