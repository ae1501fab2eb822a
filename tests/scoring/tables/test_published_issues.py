import pyarrow as pa
import pytest

from scoring.store.storage import Storage
from scoring.tables.issues import publish_issues, published_keys
from scoring.tables.sql import run
from scoring.tables.whole_partitions import ISSUES_TABLE, table_sql

KEY = "0a" * 16


@pytest.fixture
def storage(store_uri):
    return Storage(store_uri)


def part(ids, wrong, label_probability):
    count = len(ids)
    return pa.table(
        {
            "example_id": ids,
            "name": [f"n{i}" for i in ids],
            "label": [1] * count,
            "suggested": [0] * count,
            "wrong": wrong,
            "kind": ["wrong label"] * count,
            "label_probability": label_probability,
            "suggested_probability": [0.5] * count,
            "models": [2.0] * count,
            "fleet_aum": pa.nulls(count, pa.float64()),
            "memorisation": pa.nulls(count, pa.float64()),
        }
    )


def read(storage):
    views = {"issues": lambda: table_sql(storage, ISSUES_TABLE)}
    return run(storage, "select * from issues order by rank", views)


def test_the_likeliest_mistake_comes_first(storage):
    parts = [part([4, 1], [0.9, 0.5], [0.1, 0.2]), part([7, 9], [0.9, 0.95], [0.05, 0.3])]
    publish_issues(storage, "mine", "train", KEY, parts, "v")
    rows = read(storage)
    assert rows.schema.equals(ISSUES_TABLE.schema)
    assert rows["example_id"].to_pylist() == [9, 7, 4, 1]
    assert rows["rank"].to_pylist() == [0, 1, 2, 3]
    assert set(rows["dataset_version"].to_pylist()) == {"v"}
    assert published_keys(storage, "mine") == {"train": KEY}


def test_no_issue_is_a_result_too(storage):
    publish_issues(storage, "mine", "train", KEY, [part([4], [0.9], [0.1])], "v")
    publish_issues(storage, "mine", "train", "1b" * 16, [], "w")
    assert not len(read(storage))
    assert published_keys(storage, "mine") == {"train": "1b" * 16}
