"""Designs of label reviews."""

from dataclasses import replace
from pathlib import Path

import pytest

from scoring.data.reviews import Check, Stratum, load_queue, new_queue, queue_ids, queues_with
from scoring.errors import Damaged
from scoring.store.layout import copy_path, review_path
from scoring.store.storage import Storage

CHECK = Check(
    example_id=1, example="aa", name="one", label=0, suggested=1, wrong=0.9, stratum=1
)  # fmt: skip
CHECKS = (CHECK, replace(CHECK, example_id=2, name=None), replace(CHECK, example_id=7))


def queue(**changes):
    design = {
        "dataset": "ours", "data": "ours", "split": "train", "dataset_version": "v", "seed": 0,
        "strata": (Stratum(start=0, rows=90, mean=0.01), Stratum(start=0.5, rows=10, mean=0.9)),
        "checks": CHECKS,
    }  # fmt: skip
    return new_queue(**{**design, **changes})


@pytest.fixture
def storage(tmp_path):
    return Storage(str(tmp_path))


def test_a_queue_is_named_by_what_it_holds(storage):
    made = queue()
    made.save(storage)
    assert load_queue(storage, made.id) == made
    assert queue().id == made.id
    others = [queue(split="test"), queue(seed=1), queue(checks=CHECKS[:1]), queue(dataset="b")]
    assert len({made.id, *(other.id for other in others)}) == 5
    assert queue_ids(storage) == [made.id]
    for path in (review_path(made.id), copy_path(review_path(made.id))):
        assert storage.exists(path)


def test_forgotten_examples_leave_it_for_good(storage):
    made = queue()
    made.save(storage)
    queue(split="test").save(storage)
    queue(data="theirs").save(storage)
    assert queues_with(storage, "ours", "train", {3}) == []
    (found,) = queues_with(storage, "ours", "train", {2, 3})
    found.forget(storage, {2, 3})
    left = load_queue(storage, made.id)
    assert left == replace(made, checks=(CHECKS[0], CHECKS[2]))
    made.save(storage)  # the same queue drawn again brings nothing back
    assert load_queue(storage, made.id) == left


def test_a_damaged_queue_is_read_from_its_copy(storage):
    made = queue()
    made.save(storage)
    file, copy = (Path(storage.uri, p(review_path(made.id))) for p in (str, copy_path))
    file.write_text(file.read_text().replace('"one"', '"two"'))
    assert load_queue(storage, made.id) == made
    for damaged in (file, copy):
        damaged.write_text(copy.read_text().replace('"one"', '"two"'))
    with pytest.raises(Damaged):
        load_queue(storage, made.id)
