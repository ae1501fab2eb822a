import pyarrow as pa
import pytest

from scoring.store.file_kinds import is_ours
from scoring.store.storage import Storage
from scoring.tables import Store
from scoring.tables.delta import files, open_table
from scoring.tables.probabilities import (
    ShardProbabilities,
    publish_probabilities,
    published_keys,
)
from scoring.tables.whole_partitions import PROBABILITIES_TABLE

KEY, OTHER = "0a" * 16, "1b" * 16


@pytest.fixture
def storage(store_uri):
    return Storage(store_uri)


def shard(first, probabilities):
    """Return staged rows and labels of a shard; a row of None has no probabilities."""
    rows = [None if p is None else len(p) for p in probabilities]
    staged = pa.table(
        {
            "example_id": pa.array(range(first, first + len(rows)), pa.int64()),
            "value": pa.array([None if n is None else 2.0 for n in rows], pa.float64()),
            "status": pa.array(["seen_by_all" if n is None else None for n in rows], pa.string()),
            "classes": pa.array(
                [None if n is None else list(range(n)) for n in rows], pa.list_(pa.int32())
            ),
            "probabilities": pa.array(probabilities, pa.list_(pa.float16())),
        }
    )
    wrong = [None if n is None else 0.25 for n in rows]
    return ShardProbabilities(
        staged=staged,
        labels=pa.chunked_array([pa.array([1] * len(rows), pa.int32())]),
        wrong=pa.array(wrong, pa.float64()),
        suggested=pa.array([None if n is None else 0 for n in rows], pa.int32()),
    )


def publish(storage, key, shards, dataset="digits"):
    return publish_probabilities(storage, dataset, "train", key, iter(shards), "v")


def test_shards_become_a_partition(storage):
    publish(storage, KEY, [shard(0, [[0.25, 0.75], None]), shard(2, [[1.0, 0.0]])])
    table = Store(storage.uri).probabilities("digits", "train")
    assert table.schema.equals(PROBABILITIES_TABLE.schema)
    rows = {
        row["example_id"]: (row["models"], row["status"], row["classes"], row["probabilities"])
        for row in table.to_pylist()
    }
    assert rows == {
        0: (2, None, [0, 1], [0.25, 0.75]),
        1: (None, "seen_by_all", None, None),
        2: (2, None, [0, 1], [1.0, 0.0]),
    }
    assert table.sort_by("example_id")["wrong"].to_pylist() == [0.25, None, 0.25]
    assert table.sort_by("example_id")["suggested"].to_pylist() == [0, None, 0]
    assert set(table["label"].to_pylist()) == {1}
    assert set(table["dataset_version"].to_pylist()) == {"v"}


def test_what_a_partition_is_made_of_can_be_asked(storage):
    assert published_keys(storage, "digits") == {}
    publish(storage, KEY, [shard(0, [[0.25, 0.75]])])
    publish(storage, KEY, [shard(0, [[0.25, 0.75]])], dataset="letters")
    publish(storage, OTHER, [shard(0, [[0.5, 0.5]])])
    assert published_keys(storage, "digits") == {"train": OTHER}
    assert published_keys(storage, "letters") == {"train": KEY}
    (row,) = Store(storage.uri).probabilities("digits").to_pylist()
    assert row["probabilities"] == [0.5, 0.5]
    paths = [file["path"] for file in files(open_table(storage, "probabilities"))]
    assert all(is_ours(f"tables/probabilities/{path}") for path in paths)


def test_before_the_first_night_there_are_no_rows(storage):
    table = Store(storage.uri).probabilities()
    assert len(table) == 0
    assert table.schema.equals(PROBABILITIES_TABLE.schema)
