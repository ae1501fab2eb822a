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


def ranks(tmp_path, name, value, status):
    """Return the published ranks of staged scores."""
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
        predicted=classes,
    )
    table = pa.Table.from_batches(partition_rows(storage, metric(name), examples, "v"))
    rank = dict(zip(table["example_id"].to_pylist(), table["rank"].to_pylist(), strict=True))
    return [rank[i] for i in IDS.tolist()]


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
    assert ranks(tmp_path, name, value, ["", status, "", "unlabelled"]) == want
