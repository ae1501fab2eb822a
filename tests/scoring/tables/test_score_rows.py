from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from scoring.score.ranking import rank
from scoring.tables import score_rows
from scoring.tables.schemas import SCORES

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def batches(n):
    """Rows of two shards, with dictionary-encoded strings and times; the last has no label."""
    random = np.random.default_rng(0)
    ids, label = random.permutation(n), random.integers(0, 3, n).astype(np.int32)
    label[-1] = -1
    value, status = random.normal(size=n), np.full(n, "", dtype=np.object_)
    value[:2], status[:2] = np.nan, ["never_reliable", "undecodable_image"]
    shard = (np.arange(n) >= n // 2).astype(np.int32)
    times = pa.array([NOON, NOON.replace(hour=13)], pa.timestamp("us", "UTC"))
    return score_rows.score_rows(
        example_id=ids,
        name=pa.array([f"image-{i}" for i in ids], pa.large_string()),
        label=label,
        given_label=np.full(n, -1),
        predicted=label,
        value=value,
        spread=None,
        status=status,
        ranks=rank(
            value=value,
            label=label,
            example_id=ids,
            direction="high",
            status=status,
            ends={"never_reliable": "outlying"},
        ),
        scored_at=pa.DictionaryArray.from_arrays(shard, times),
        dataset_version="v1",
        score_key=pa.DictionaryArray.from_arrays(shard, pa.array(["k0", "k1"])),
    )


def test_the_size_of_row_groups_does_not_matter(monkeypatch):
    whole = pa.Table.from_batches(batches(100))
    monkeypatch.setattr(score_rows, "GROUP_ROWS", 7)
    groups = list(batches(100))
    assert [len(group) for group in groups] == [7] * 14 + [2]
    assert pa.Table.from_batches(groups).combine_chunks() == whole.combine_chunks()


def test_each_row_keeps_its_own_values():
    table = pa.Table.from_batches(batches(100)).to_pylist()
    assert list(table[0]) == SCORES.names
    order = [(row["label"], row["rank"]) for row in table[:-1]]
    last = 1000
    assert order == sorted(order, key=lambda key: (key[0], last if key[1] is None else key[1]))
    assert table[-1]["label"] is None
    random = np.random.default_rng(0)
    ids = random.permutation(100)
    by_id = {row["example_id"]: row for row in table}
    for at, example_id in enumerate(ids.tolist()):
        row = by_id[example_id]
        assert row["name"] == f"image-{example_id}"
        assert (row["score_key"], row["scored_at"].hour) == ("k1", 13) if at >= 50 else ("k0", 12)
        assert row["dataset_version"] == "v1"
        assert row["spread"] is None
        assert (row["value"] is None) == (at < 2)
    assert by_id[ids[0]]["status"] == "never_reliable"
    assert by_id[ids[0]]["rank"] == 0
    assert (by_id[ids[1]]["status"], by_id[ids[1]]["rank"]) == ("undecodable_image", None)
    assert by_id[ids[2]]["status"] is None
