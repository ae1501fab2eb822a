import numpy as np
import pytest
from score_tables import rows_of

from scoring.analysis.night_changes import accuracy, gone, newly_lowest
from scoring.analysis.score_table import Scores


def scores(ids, percentile, label=0, predicted=0) -> Scores:
    ids = np.array(ids)
    return Scores(
        ids=ids,
        label=np.broadcast_to(label, ids.shape),
        predicted=np.broadcast_to(predicted, ids.shape),
        rank=np.arange(len(ids)),
        percentile=np.array(percentile, dtype=float),
        table=None,
    )


def test_rows_that_were_lowest_before_or_have_no_rank_are_not_newly_lowest():
    before = scores([1, 2, 3, 4], [0, 0.9, 1.0, 50])
    after = scores([5, 1, 3, 4, 2], [0.5, 0, 0.99, np.nan, 70])
    assert newly_lowest(before, after).tolist() == [3, 5]


def test_a_hundredth_of_a_ranking_is_lowest():
    nobody = scores([], [])
    assert len(newly_lowest(nobody, Scores.from_table(rows_of(1001)))) == 10


def test_rows_are_gone_whatever_came_instead():
    assert gone(scores([3, 1, 2], [0, 1, 2]), scores([2, 9], [0, 1])).tolist() == [1, 3]


def test_accuracy_is_that_of_rows_with_label_and_prediction():
    known = scores([1, 2, 3, 4, 5], np.zeros(5), label=[0, 1, 1, -1, 1], predicted=[0, 0, 1, 1, -1])
    assert accuracy(known) == pytest.approx(2 / 3)
    assert np.isnan(accuracy(scores([1], [0], label=-1)))
