import numpy as np
import pyarrow as pa
import pytest

from scoring.analysis.scores import Scores
from scoring.report.extremes import ENDS, class_ends, ends_to_show


def scores_of(label: list[int | None], rank: list[int | None]) -> Scores:
    n = len(label)
    return Scores.of(
        pa.table(
            {
                "example_id": np.arange(n) + 100,
                "label": pa.array(label, pa.int32()),
                "predicted": pa.array(label, pa.int32()),
                "rank": pa.array(rank, pa.int64()),
                "percentile": np.linspace(0, 100, n),
            }
        )
    )


def ids(rows):
    return [row["example_id"] for row in rows]


def test_each_class_is_ordered_by_rank():
    order = np.random.default_rng(0).permutation(60)
    scores = scores_of([i % 2 for i in range(60)], order.tolist())
    for ends, label in zip(class_ends(scores, 10), (0, 1), strict=True):
        members = [i for i in np.argsort(order) if i % 2 == label]
        assert (ends.label, ends.ranked) == (label, 30)
        assert ids(ends.outlying) == [100 + i for i in members[:10]]
        assert ids(ends.prototypical) == [100 + i for i in members[-10:]]


@pytest.mark.parametrize(("rows", "low", "high"), [(1, 1, 0), (2, 1, 1), (5, 3, 2), (30, 10, 10)])
def test_no_example_stands_at_both_ends(rows, low, high):
    (ends,) = class_ends(scores_of([0] * rows, list(range(rows))), 10)
    assert (len(ends.outlying), len(ends.prototypical)) == (low, high)
    assert ids(ends.outlying) == list(range(100, 100 + low))
    assert ids(ends.prototypical) == list(range(100 + rows - high, 100 + rows))


def test_examples_without_a_rank_are_left_out_and_those_without_a_label_come_first():
    (unknown, known) = class_ends(scores_of([0, None, 0, 1], [2, 0, 1, None]), 10)
    assert (unknown.label, ids(unknown.outlying)) == (-1, [101])
    assert (known.label, ids(known.outlying), ids(known.prototypical)) == (0, [102], [100])


def test_a_partition_without_ranks_has_no_ends():
    assert class_ends(scores_of([0, 1], [None, None]), 10) == []


def test_only_hundreds_of_classes_cost_images():
    assert ends_to_show(classes=10, partitions=48) == ENDS
    assert 2 <= ends_to_show(classes=1000, partitions=16) < ENDS
