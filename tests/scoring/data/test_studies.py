from dataclasses import replace
from pathlib import Path

import pytest

from scoring.data.studies import Screen, load_study, new_study, studies_with, study_ids
from scoring.errors import Damaged
from scoring.store.file_kinds import is_ours, is_twice
from scoring.store.layout import copy_path, study_path
from scoring.store.storage import Storage

SCREENS = (
    Screen(question="best", label=3, shown=(1, 2, 3)),
    Screen(question="worst", label=4, shown=(4, 5, 6), gold=2),
)


def study(**changes):
    design = {"dataset": "mine", "data": "ours", "split": "train", "dataset_version": "v"}
    return new_study(**{**design, "sets": (SCREENS, SCREENS[:1]), **changes})


@pytest.fixture
def storage(tmp_path):
    return Storage(str(tmp_path))


def test_a_study_is_named_by_what_it_holds(storage):
    made = study()
    made.save(storage)
    assert load_study(storage, made.id) == made
    assert study().id == made.id
    others = [study(split="test"), study(sets=(SCREENS,)), study(dataset="other")]
    assert len({made.id, *(other.id for other in others)}) == 4
    assert study_ids(storage) == [made.id]
    for path in (study_path(made.id), copy_path(study_path(made.id))):
        assert is_ours(path)
        assert is_twice(path)
        assert storage.exists(path)


def test_forgotten_examples_leave_it_and_its_name_stays(storage):
    made = study()
    made.save(storage)
    study(split="test").save(storage)
    study(data="theirs").save(storage)
    assert studies_with(storage, "ours", "train", {7}) == []
    (found,) = studies_with(storage, "ours", "train", {2, 6, 7})
    found.forget(storage, {2, 6, 7})
    left = load_study(storage, made.id)
    assert [screen.shown for screen in left.sets[0]] == [(1, None, 3), (4, 5, None)]
    assert left == replace(made, sets=left.sets)
    assert left.sets[0][1].gold == 2
    assert studies_with(storage, "ours", "train", {2, 6, 7}) == []
    made.save(storage)  # the same study drawn again brings nothing back
    assert load_study(storage, made.id) == left


def test_a_copy_stands_in_for_a_damaged_design(storage):
    made = study()
    made.save(storage)
    file, copy = (Path(storage.uri, p(study_path(made.id))) for p in (str, copy_path))
    file.write_bytes(file.read_bytes().replace(b'"gold": 2', b'"gold": 1'))
    assert load_study(storage, made.id) == made
    copy.write_bytes(copy.read_bytes().replace(b'"gold": 2', b'"gold": 1'))
    with pytest.raises(Damaged):
        load_study(storage, made.id)
