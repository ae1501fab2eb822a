from dataclasses import replace

import numpy as np
from report_store import shapes, write_dataset

from scoring.report.positions import place_shards
from scoring.store.storage import Storage


def versions(tmp_path, seed=0, **rows):
    storage = Storage(str(tmp_path / "store"))
    examples = {split: shapes(count, 2, seed=seed) for split, count in rows.items()}
    return write_dataset(storage, "shapes", examples, ["round", "square"])


def test_shards_are_laid_end_to_end(tmp_path):
    version = versions(tmp_path, train=60, test=30)["test"]  # ids from 60 on, in shards of 25
    positions = place_shards([version])
    assert [shard.start for shard in positions.shards] == [0, 25]
    assert positions.count == 30
    ids = np.array([89, 60, 85, 84, 59, 90])
    assert positions.find(version, ids).tolist() == [29, 0, 25, 24, -1, -1]


def test_shards_shared_by_versions_are_placed_once(tmp_path):
    new = versions(tmp_path, train=75, test=10)["train"]
    old = replace(new, shards=new.shards[:2])
    other = versions(tmp_path, seed=1, train=100, test=10)["train"]  # the same ids
    positions = place_shards([new, old, other])
    assert [shard.start for shard in positions.shards] == [0, 25, 50, 75, 100, 125, 150]
    assert positions.shards_of(old) == [0, 1]
    assert positions.find(old, np.array([30, 60])).tolist() == [30, -1]
    assert positions.find(other, np.array([30, 99])).tolist() == [105, 174]


def test_ids_may_have_gaps_and_shards_may_be_in_any_order(tmp_path):
    version = versions(tmp_path, train=50, test=10)["train"]
    first, second = version.shards
    moved = replace(version, shards=(replace(second, first_id=1000), first))
    positions = place_shards([moved])
    assert [shard.record.first_id for shard in positions.shards] == [0, 1000]
    assert positions.find(moved, np.array([24, 25, 999, 1000, 1024])).tolist() == [
        24,
        -1,
        -1,
        25,
        49,
    ]
