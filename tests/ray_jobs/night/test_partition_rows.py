import numpy as np
import pyarrow as pa
import pytest

from ray_jobs.night.partition_rows import Examples, partition_rows
from ray_jobs.night.work import ShardWork
from scoring.data.shards import ShardRecord
from scoring.registry import metric
from scoring.score.assignments import Assignment, Task
from scoring.staged.scores import write_scores
from scoring.store.layout import staged_path
from scoring.store.storage import Storage

IDS = np.arange(4)


def published(tmp_path, name, value, status, excluded=()):
    """Return the rows that staged scores are published as, by id."""
    storage, status = Storage(str(tmp_path)), np.array(status)
    columns = {"value": np.array(value), "spread": None, "tiebreak": None, "status": status}
    write_scores(storage, staged_path(name, "key"), ids=IDS, **columns)
    record = ShardRecord(content="c", first_id=0, rows=4, undecodable=0, trainable=4)
    task = Task(assignment=Assignment(metric=name, config=None, split="train", runs=()), key="key")
    work = [ShardWork(split="test", record=record, tasks=(task,), missing=())]
    classes = np.zeros(4, dtype=np.int32)
    examples = Examples(
        work=work,
        shard=classes,
        ids=IDS,
        names=pa.array(["a", "b", "c", "d"], pa.large_string()),
        labels=classes,
        given=np.full(4, -1, dtype=np.int32),
        excluded=np.array(excluded, dtype=np.int64),
        predicted=classes,
    )
    table = pa.Table.from_batches(partition_rows(storage, metric(name), examples, "v"))
    return table.sort_by("example_id").to_pylist()


@pytest.mark.parametrize(
    ("name", "status", "want"),
    [
        ("adv_l2", "no_adversarial_found", [1, 2, 0, None]),
        ("priv", "never_reliable", [1, 0, 2, None]),
        ("conf", "no_adversarial_found", [1, None, 0, None]),
    ],
)
def test_a_metric_says_where_rows_without_a_value_rank(tmp_path, name, status, want):
    value = [2.0, np.nan, 1.0, np.nan]
    rows = published(tmp_path, name, value, ["", status, "", "unlabelled"])
    assert [row["rank"] for row in rows] == want


def test_an_excluded_row_has_no_value_whatever_was_staged(tmp_path):
    status = ["", "", "", "never_reliable"]
    rows = published(tmp_path, "priv", [2.0, 3.0, 1.0, np.nan], status, excluded=(1, 3))
    assert [row["rank"] for row in rows] == [0, None, 1, None]
    assert [row["value"] for row in rows] == [2.0, None, 1.0, None]
    assert [row["status"] for row in rows] == [None, "excluded", None, "excluded"]
