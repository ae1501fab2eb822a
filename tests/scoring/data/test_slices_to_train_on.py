import numpy as np
import pytest

from scoring.data.slice import make_slice
from scoring.data.training_set import TrainingSet

IDS, LABELS = np.array([30, 10, 20]), np.array([2, 0, 1])


def test_the_key_of_a_slice_follows_its_content():
    key = make_slice("v1", IDS, LABELS).key
    order = np.array([2, 0, 1])
    assert make_slice("v1", IDS[order], LABELS[order]).key == key
    others = [
        make_slice("v2", IDS, LABELS),
        make_slice("v1", IDS, LABELS[::-1]),
        make_slice("v1", IDS[:2], LABELS[:2]),
    ]
    assert len({key, *(other.key for other in others)}) == 4


def test_a_slice_is_sorted_by_id():
    part = make_slice("v1", IDS, LABELS)
    assert part.ids.tolist() == [10, 20, 30]
    assert part.labels.tolist() == [0, 1, 2]


def test_a_training_set_is_restricted_to_a_slice_without_a_copy():
    inputs = np.zeros((5, 4, 4, 1), np.uint8)
    labels = np.full(5, 3)
    data = TrainingSet(ids=np.arange(0, 50, 10), inputs=inputs, labels=labels, classes=4)
    part = data.only(np.array([10, 30]), np.array([1, 2]))
    assert part.inputs is inputs
    assert part.chosen is not None
    assert part.chosen.tolist() == [1, 3]
    assert part.labels.tolist() == [3, 1, 3, 2, 3]
    assert data.labels.tolist() == [3] * 5
    for stranger in (11, 60):
        with pytest.raises(ValueError, match="expected ids of training rows, got 1 others"):
            data.only(np.array([10, stranger]), np.array([1, 2]))
