from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from score_tables import part

from scoring.store.storage import Storage
from scoring.tables import Store
from scoring.tables.leftovers import leftovers
from scoring.tables.publish import publish
from scoring.tables.set_members import publish_example_sets
from scoring.tables.whole_partitions import EXAMPLE_SETS_TABLE

SETS = ["uncommon_submodes", "memorized_exceptions", "memorized_exceptions"]


@pytest.fixture
def storage(store_uri):
    return Storage(store_uri)


def columns(ids=(7, 5, 3), sets=SETS):
    count = len(ids)
    return {
        "example_id": np.array(ids),
        "name": [None, "b.png", "c.png"][:count],
        "label": np.zeros(count, np.int64),
        "set": list(sets),
        **{name: np.linspace(0, 100, count) for name in ("boundary", "ensemble", "priv")},
        "cluster": np.array([-1.0, 0.0, np.nan])[:count],
        "x": np.array([0.5, 1.5, np.nan])[:count],
        "y": np.array([0.5, 1.5, np.nan])[:count],
    }


def test_sets_come_back_in_order(storage):
    publish_example_sets(storage, "digits", "train", columns(), "protoscore evaluate sets")
    table = Store(storage.uri).example_sets(dataset="digits", split="train")
    assert table.schema.equals(EXAMPLE_SETS_TABLE.schema)
    rows = table.to_pylist()
    assert [(row["set"][0], row["example_id"]) for row in rows] == [("m", 3), ("m", 5), ("u", 7)]
    assert [row["name"] for row in rows] == ["c.png", "b.png", None]
    assert [row["cluster"] for row in rows] == [None, 0, -1]
    assert [row["x"] for row in rows] == [None, 1.5, 0.5]
    assert {row["command"] for row in rows} == {"protoscore evaluate sets"}
    assert datetime.now(UTC) - rows[0]["evaluated_at"] < timedelta(minutes=5)


def test_a_split_replaces_only_its_own_sets(storage):
    for ids in ([1, 2], [3]):
        publish_example_sets(storage, "digits", "train", columns(ids, SETS[: len(ids)]), "")
        publish_example_sets(storage, "digits", "test", columns([ids[0] + 10], SETS[:1]), "")
    store = Store(storage.uri)
    assert sorted(store.example_sets()["example_id"].to_pylist()) == [3, 13]
    assert store.example_sets(split="test")["example_id"].to_pylist() == [13]


def test_sets_may_be_empty(storage):
    publish_example_sets(storage, "digits", "train", columns(), "")
    publish_example_sets(storage, "digits", "train", columns([], []), "")
    table = Store(storage.uri).example_sets("digits", "train")
    assert len(table) == 0
    assert table.schema.equals(EXAMPLE_SETS_TABLE.schema)


def test_sql_joins_sets_with_scores(storage):
    publish(storage, [part()])
    ids = Store(storage.uri).scores(columns=["example_id"])["example_id"].to_pylist()
    publish_example_sets(storage, "digits", "test", columns(ids[:3]), "")
    query = """
        select example_id, set
        from example_sets join scores using (dataset, split, example_id)
        where set = 'uncommon_submodes'
    """
    assert Store(storage.uri).sql(query)["example_id"].to_pylist() == ids[:1]


def test_sets_are_no_leftovers(storage):
    publish(storage, [part()])
    publish_example_sets(storage, "digits", "test", columns(), "")
    found = leftovers(storage, datetime.now(UTC) + timedelta(hours=1))
    assert not [file.path for file in found["tables"]]
