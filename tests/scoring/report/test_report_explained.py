import pytest
from report_findings import publish_explained
from report_store import publish_scores, shapes, write_dataset

from scoring.analysis.snapshot import take_snapshot
from scoring.report.explained import STRONGEST, explained
from scoring.report.positions import place
from scoring.store.storage import Storage


@pytest.fixture
def published(tmp_path):
    storage = Storage(str(tmp_path / "store"))
    examples = {"train": shapes(30, 2), "test": shapes(20, 2)}
    versions = write_dataset(storage, "shapes", examples, ["round", "square"])
    publish_scores(storage, "shapes", versions, examples)
    return storage, versions


def told(storage, versions):
    test = versions["test"]
    return explained(take_snapshot(storage.uri), place([test]), test)


def test_each_example_knows_its_strongest_points(published):
    storage, versions = published
    many = [(32, 1, rank, rank, 0, 20.0 - rank) for rank in range(STRONGEST + 3)]
    few = [(32, 1, 0, 7, 1, -1.23456), (31, 0, 0, 8, 1, 2.0), (31, 1, 0, 8, 1, -2.0)]
    publish_explained(storage, "r", versions["train"], [*many, *few])
    found = told(storage, versions).of(slice(0, 10))
    assert {*found} == {1, 2}
    assert found[1]["train"] == versions["train"].version
    assert found[1]["outputs"] == {0: [[8, 1, 2.0, 1.0, 2.0]], 1: [[8, 1, -2.0, -1.0, 2.0]]}
    points = found[2]["outputs"][1]
    assert [point[2] for point in points] == [20.0, 19.0, 18.0, 17.0, 16.0, 15.0, -1.235]
    assert told(storage, versions).of(slice(10, 20)) == {}


def test_the_run_that_came_to_rest_last_speaks(published):
    storage, versions = published
    train = versions["train"]
    publish_explained(storage, "old", train, [(32, 1, 0, 1, 0, 1.0), (33, 1, 0, 1, 0, 1.0)])
    publish_explained(storage, "new", train, [(32, 5, 0, 2, 0, 3.0)], is_last=False, solved_at=2)
    found = told(storage, versions).of(slice(0, 20))
    assert (found[2]["layer"], found[2]["outputs"]) == ("fc", {5: [[2, 0, 3.0, 1.5, 2.0]]})
    assert (found[3]["layer"], found[3]["outputs"]) == ("", {1: [[1, 0, 1.0, 0.5, 2.0]]})


def test_there_may_be_none(published):
    assert told(*published).of(slice(0, 20)) == {}
