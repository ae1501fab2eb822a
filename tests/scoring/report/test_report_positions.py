from dataclasses import replace

import numpy as np
from report_store import shapes, write_dataset

from scoring.report.positions import place
from scoring.store.storage import Storage


def versions(tmp_path, seed=0, **rows):
    storage = Storage(str(tmp_path / "store"))
    examples = {split: shapes(count, 2, seed=seed) for split, count in rows.items()}
    return write_dataset(storage, "shapes", examples, ["round", "square"])


def test_rows_of_shards_stand_one_after_the_other(tmp_path):
    version = versions(tmp_path, train=60, test=30)["test"]  # ids from 60 on, in shards of 25
    positions = place([version])
    assert [shard.start for shard in positions.shards] == [0, 25]
    assert positions.count == 30
    ids = np.array([89, 60, 85, 84, 59, 90])
    assert positions.of(version, ids).tolist() == [29, 0, 25, 24, -1, -1]


def test_shards_that_versions_share_stand_there_once(tmp_path):
    new = versions(tmp_path, train=75, test=10)["train"]
    old = replace(new, shards=new.shards[:2])
    other = versions(tmp_path, seed=1, train=100, test=10)["train"]  # the same ids
    positions = place([new, old, other])
    assert [shard.start for shard in positions.shards] == [0, 25, 50, 75, 100, 125, 150]
    assert positions.numbers(old) == [0, 1]
    assert positions.of(old, np.array([30, 60])).tolist() == [30, -1]
    assert positions.of(other, np.array([30, 99])).tolist() == [105, 174]


def test_ids_may_have_gaps_and_shards_any_order(tmp_path):
    version = versions(tmp_path, train=50, test=10)["train"]
    first, second = version.shards
    moved = replace(version, shards=(replace(second, first_id=1000), first))
    positions = place([moved])
    assert [shard.record.first_id for shard in positions.shards] == [0, 1000]
    assert positions.of(moved, np.array([24, 25, 999, 1000, 1024])).tolist() == [24, -1, -1, 25, 49]
