import numpy as np
import pyarrow as pa
import pytest
from report_store import publish_scores, shapes, write_dataset

from scoring.analysis.joined_scores import join_scores, read_joined_scores, read_names
from scoring.analysis.snapshot import take_snapshot
from scoring.store.storage import Storage


def table(ids, label, value=None):
    value = [float(i) for i in ids] if value is None else value
    return pa.table(
        {
            "example_id": pa.array(ids, pa.int64()),
            "label": pa.array(label, pa.int32()),
            "value": pa.array(value, pa.float64()),
            "percentile": pa.array([i / 2 for i in ids]),
            "class_percentile": pa.array([i / 4 for i in ids]),
        }
    )


def test_examples_are_joined_and_sorted_by_id():
    joined = join_scores(
        {
            "conf": table([7, 3, 5], [0, 1, None], [0.7, None, 0.5]),
            "agr": table([5, 7, 3], [None, 0, 1]),
        }
    )
    np.testing.assert_array_equal(joined.ids, [3, 5, 7])
    np.testing.assert_array_equal(joined.label, [1, -1, 0])
    np.testing.assert_array_equal(joined.value["conf"], [np.nan, 0.5, 0.7])
    np.testing.assert_array_equal(joined.percentile["agr"], [1.5, 2.5, 3.5])
    np.testing.assert_array_equal(joined.class_percentile["agr"], [0.75, 1.25, 1.75])
    assert joined.left_out == 0


def test_examples_that_not_all_know_under_one_label_are_left_out_and_counted():
    joined = join_scores(
        {"conf": table([1, 2, 3, 4], [0, 0, 0, 0]), "agr": table([2, 3, 9], [0, 1, 0])}
    )
    np.testing.assert_array_equal(joined.ids, [2])
    assert joined.left_out == 4  # 1, 3, 4 and 9


@pytest.fixture
def snapshot(tmp_path):
    examples = {"train": shapes(30, 2, seed=1), "test": shapes(26, 2, seed=2)}
    storage = Storage(str(tmp_path / "store"))
    versions = write_dataset(storage, "shapes", examples, ["round", "square"])
    publish_scores(storage, "shapes", versions, examples)
    return take_snapshot(storage.uri)


def test_published_metrics_are_read(snapshot):
    joined = read_joined_scores(snapshot, "train", ["agr", "adv_l2"])
    np.testing.assert_array_equal(joined.ids, np.arange(30))
    np.testing.assert_array_equal(joined.value["adv_l2"], shapes(30, 2, seed=1).values["adv_l2"])
    assert list(joined.percentile) == ["agr", "adv_l2"]


def test_names_are_found_by_id(snapshot):
    found = read_names(snapshot, "train", "agr", np.array([5, 2, 29]))
    assert found == ["picture-5.png", "picture-2.png", "picture-29.png"]
