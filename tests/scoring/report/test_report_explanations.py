import pytest
from report_findings import publish_explained
from report_store import publish_scores, shapes, write_dataset

from scoring.analysis.snapshot import take_snapshot
from scoring.report.explained_examples import STRONGEST, read_explanations
from scoring.report.positions import place_shards
from scoring.store.storage import Storage


@pytest.fixture
def published(tmp_path):
    storage = Storage(str(tmp_path / "store"))
    examples = {"train": shapes(30, 2), "test": shapes(20, 2)}
    versions = write_dataset(storage, "shapes", examples, ["round", "square"])
    publish_scores(storage, "shapes", versions, examples)
    return storage, versions


def read(storage, versions):
    test = versions["test"]
    return read_explanations(take_snapshot(storage.uri), place_shards([test]), test)


def test_each_example_has_its_strongest_points(published):
    storage, versions = published
    many = [(32, 1, rank, rank, 0, 20.0 - rank) for rank in range(STRONGEST + 3)]
    few = [(32, 1, 0, 7, 1, -1.23456), (31, 0, 0, 8, 1, 2.0), (31, 1, 0, 8, 1, -2.0)]
    publish_explained(storage, "r", versions["train"], [*many, *few])
    found = read(storage, versions).within(slice(0, 10))
    assert {*found} == {1, 2}
    assert found[1]["train"] == versions["train"].version
    assert found[1]["outputs"] == {0: [[8, 1, 2.0, 1.0, 2.0]], 1: [[8, 1, -2.0, -1.0, 2.0]]}
    points = found[2]["outputs"][1]
    assert [point[2] for point in points] == [20.0, 19.0, 18.0, 17.0, 16.0, 15.0, -1.235]
    assert read(storage, versions).within(slice(10, 20)) == {}


def test_the_run_solved_last_explains_an_example(published):
    storage, versions = published
    train = versions["train"]
    publish_explained(storage, "old", train, [(32, 1, 0, 1, 0, 1.0), (33, 1, 0, 1, 0, 1.0)])
    publish_explained(storage, "new", train, [(32, 5, 0, 2, 0, 3.0)], is_last=False, solved_at=2)
    found = read(storage, versions).within(slice(0, 20))
    assert (found[2]["layer"], found[2]["outputs"]) == ("fc", {5: [[2, 0, 3.0, 1.5, 2.0]]})
    assert (found[3]["layer"], found[3]["outputs"]) == ("", {1: [[1, 0, 1.0, 0.5, 2.0]]})


def test_a_split_may_have_no_explanations(published):
    assert read(*published).within(slice(0, 20)) == {}
