from dataclasses import replace
from pathlib import Path

import pytest
from report_store import METRICS, publish_scores, shapes, write_dataset

from scoring.errors import BadStore, UnknownName, UserError
from scoring.report import take_snapshot
from scoring.store.storage import Storage

CLASSES = ("circle", "square")
EXAMPLES = {"train": shapes(30, 2, seed=1), "test": shapes(26, 2, seed=2)}


@pytest.fixture
def storage(tmp_path):
    return Storage(str(tmp_path / "store"))


def publish_as(storage, name, folder="shapes"):
    versions = write_dataset(storage, folder, EXAMPLES, CLASSES)
    publish_scores(storage, name, versions, EXAMPLES, night=name)
    return versions


def test_the_only_dataset_needs_no_name(storage):
    publish_as(storage, "shapes")
    snapshot = take_snapshot(storage.uri)
    assert (snapshot.dataset, snapshot.version, snapshot.splits) == ("shapes", 1, ("train", "test"))


def test_of_several_datasets_one_must_be_named(storage):
    publish_as(storage, "shapes")
    publish_as(storage, "other")
    with pytest.raises(UserError, match="--dataset: expected one of other, shapes, got none"):
        take_snapshot(storage.uri)
    with pytest.raises(UnknownName, match="--dataset: expected one of other, shapes, got 'form'"):
        take_snapshot(storage.uri, "form")
    assert take_snapshot(storage.uri, "other").dataset == "other"


def test_images_are_found_whatever_name_the_scores_were_published_under(storage):
    versions = publish_as(storage, "beside", folder="shapes")
    snapshot = take_snapshot(storage.uri, "beside")
    assert snapshot.current("test") == versions["test"]
    assert {v.name for v in snapshot.data.values()} == {"shapes"}


def test_a_store_without_the_images_is_refused(storage):
    versions = publish_as(storage, "shapes")
    version = versions["test"].version
    for name in (f"{version}.json", f"{version}.copy.json"):
        Path(storage.uri, "datasets", "shapes", "test", name).unlink()
    with pytest.raises(BadStore, match=rf"got no datasets/\*/test/{version}.json"):
        take_snapshot(storage.uri)


def test_an_unpublished_store_is_refused(storage):
    with pytest.raises(BadStore, match="expected a store with published scores"):
        take_snapshot(storage.uri)


def test_scores_can_be_read_as_they_were(storage):
    publish_as(storage, "shapes")
    publish_as(storage, "other")
    assert take_snapshot(storage.uri, at=1).dataset == "shapes"  # the other one came later
    assert [n["night_id"] for n in take_snapshot(storage.uri, at=1).nights(7)] == ["night-shapes"]
    with pytest.raises(UserError, match="--at: expected a version with published scores, got 0"):
        take_snapshot(storage.uri, at=0)
    with pytest.raises(UserError, match="--at: expected a version from 0 to 2, got 3"):
        take_snapshot(storage.uri, at="3")


def test_later_publications_do_not_change_a_snapshot(storage):
    versions = publish_as(storage, "shapes")
    snapshot = take_snapshot(storage.uri)
    before = snapshot.scores("test", "agr").rank.tolist()
    values = {name: -value for name, value in EXAMPLES["test"].values.items()}
    changed = {**EXAMPLES, "test": replace(EXAMPLES["test"], values=values)}
    publish_scores(storage, "shapes", versions, changed, night=2)
    assert snapshot.scores("test", "agr").rank.tolist() == before
    assert take_snapshot(storage.uri).scores("test", "agr").rank.tolist() != before


def test_runs_are_listed_as_in_the_last_night_that_used_them(storage):
    versions = publish_as(storage, "shapes")
    publish_as(storage, "other")
    changed = {
        split: replace(e, values={"agr": e.values["agr"] + 1}) for split, e in EXAMPLES.items()
    }
    publish_scores(storage, "shapes", versions, changed, METRICS, night="z")
    runs = take_snapshot(storage.uri, "shapes").runs()
    assert sorted(run["run_key"] for run in runs) == ["dp0.5", "dp8.0", "run0", "run1", "run2"]
    assert {run["night_id"] for run in runs} == {"night-z"}
