"""Who a new shard is compared with."""

from dataclasses import replace

import numpy as np
import pytest
from report_store import METRICS

from scoring.analysis.new_shards import changed_shards, judge_new_shards, within
from scoring.analysis.score_table import Scores
from scoring.data.images import ImageShape
from scoring.data.shards import ShardRecord
from scoring.data.versions import DatasetVersion
from scoring.tables.manifest import Manifest, Partition

METRIC = METRICS[0].name
RUNS = ("run1", "run2")


def shard(content: str, first_id: int, rows: int) -> ShardRecord:
    return ShardRecord(content=content, first_id=first_id, rows=rows, undecodable=0, trainable=rows)


def version(split: str, *shards: ShardRecord) -> DatasetVersion:
    shape = ImageShape(height=8, width=8, channels=1)
    return DatasetVersion(
        name="mine", split=split, classes=("a",), shape=shape, shards=shards, ranges={}
    )


OLD, MORE, NEW = shard("old", 0, 400), shard("more", 400, 300), shard("new", 700, 100)
TEST = version("test", shard("test", 5000, 500))


class FakeSnapshot:
    """Enough of a snapshot: values by split, versions, and the splits that runs trained on."""

    def __init__(self, train: DatasetVersion, values: dict):
        self.values = values
        self.versions = {("train", train.version): train, ("test", TEST.version): TEST}
        self.versions["train", "t0"] = version("train", OLD)
        self.versions["test", "t1"] = TEST
        self.data = self.versions
        self.manifests = {
            (data.split, METRIC): Manifest(
                partition=Partition("mine", data.split, METRIC), key="k", night_id="n",
                planned_at="2026-01-01T00:00:00+00:00", settings={}, dataset_version=data.version,
                trained_on={"train": "t0", "test": "t1"}, runs=RUNS, rows=data.rows,
            )
            for data in (train, TEST)
        }  # fmt: skip

    def find_version(self, split: str, name: str) -> DatasetVersion:
        return self.versions[split, name]

    def scores(self, split: str, metric: str) -> Scores:
        data = self.versions[split, self.manifests[split, metric].dataset_version]
        ids = np.concatenate([np.arange(s.first_id, s.first_id + s.rows) for s in data.shards])
        value = np.concatenate([self.values[s.content] for s in data.shards])
        places = value.argsort().argsort()
        table = {"value": value, "class_percentile": 100.0 * places / len(value)}
        return FakeScores(ids=ids, rank=places, table=table)


class FakeScores:
    def __init__(self, ids, rank, table):
        self.ids, self.rank, self.table = ids, rank, table
        self.label = np.zeros(len(ids), dtype=np.int64)
        self.percentile = table["class_percentile"]

    def numbers(self, column: str) -> np.ndarray:
        return self.table[column]


def values(**means: float) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    rows = {"old": 400, "more": 300, "new": 100, "test": 500}
    return {name: random.normal(means[name], 1, n) for name, n in rows.items()}


def judged(before: tuple, after: tuple, values: dict, trained: tuple = ("train",)) -> list:
    """Judge the training split, scored by runs that were trained on these splits."""
    old = FakeSnapshot(version("train", *before), values)
    new = FakeSnapshot(version("train", *after), values)
    return judge_new_shards(old, new, "train", METRIC, dict(zip(RUNS, trained, strict=False)))


def test_unseen_rows_are_compared_with_unseen_rows_of_the_split():
    scores = values(old=5, more=0, new=0, test=-5)  # what was trained on looks prototypical
    (found,) = judged((OLD, MORE), (OLD, MORE, NEW), scores)
    assert found.where == "train examples 700 to 799"
    assert found.drift.others == 300
    assert abs(found.drift.shift) < 15


def test_in_the_first_night_after_a_training_the_other_split_stands_in():
    scores = values(old=5, more=0, new=0, test=0)
    (found,) = judged((OLD,), (OLD, NEW), scores)
    assert found.drift.others == 500
    assert abs(found.drift.shift) < 15


@pytest.mark.parametrize("trained", [("train", "test"), ("test", "train")])
def test_a_split_that_runs_were_trained_on_never_stands_in(trained):
    scores = values(old=5, more=0, new=0, test=5)
    assert judged((OLD,), (OLD, NEW), scores, trained=trained) == []


def test_rows_that_were_trained_on_are_compared_with_such_rows():
    changed = shard("new", 0, 100)
    kept = shard("more", 100, 300)  # ids of the shard that the fleet was trained on
    scores = values(old=0, more=5, new=5, test=0)
    before = (shard("first", 0, 100), kept)
    (found,) = judged(before, (changed, kept), scores)
    assert found.drift.others == 300
    assert abs(found.drift.shift) < 15


def test_runs_that_trained_on_nothing_of_the_split_leave_all_rows_comparable():
    scores = values(old=0, more=0, new=0, test=0)
    (found,) = judged((OLD, MORE), (OLD, MORE, NEW), scores, trained=())
    assert found.drift.others == 700


def test_new_shards_are_not_compared_with_each_other():
    scores = values(old=0, more=-9, new=-9, test=0)
    found = judged((OLD,), (OLD, MORE, NEW), scores, trained=())
    assert [s.drift.others for s in found] == [400, 400]
    assert all(s.drift.shift == -50 for s in found)


def test_without_a_new_shard_nothing_is_read():
    assert judged((OLD, NEW), (OLD, NEW), {}) == []


def test_changed_shards_are_told_by_their_content():
    before, after = version("train", OLD, MORE), version("train", replace(OLD, content="x"), MORE)
    assert changed_shards(before, after) == [replace(OLD, content="x")]


def test_within_shards_of_any_order_with_gaps():
    ids = np.array([0, 4, 5, 9, 10, 14, 15, 99])
    assert within(ids, [shard("b", 10, 5), shard("a", 0, 5)]).tolist() == [
        *(True, True, False, False, True, True, False, False)
    ]
    assert not within(ids, []).any()
