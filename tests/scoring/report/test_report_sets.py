import numpy as np
import pytest
from report_findings import COMMAND, NO, publish_sets
from report_store import publish_scores, shapes, write_dataset

from scoring.report.positions import place_shards
from scoring.report.set_maps import NOT_CLUSTERED, memberships, read_sets
from scoring.store.storage import Storage
from scoring.tables import Store

ROWS = [
    (31, 1, "uncommon_submodes", 0, 0.5, 1.0),
    (30, 0, "uncommon_submodes", -1, 0.25, 2.0),
    (33, 1, "memorized_exceptions", NO, NO, NO),
    (31, 1, "canonical_prototypes", 2, 3.0, 4.0),
    (99, 1, "canonical_prototypes", 2, 3.0, 4.0),  # no such example
    (45, 1, "by_hand", 0, 0.0, 0.0),
]


@pytest.fixture
def sets(tmp_path):
    storage = Storage(str(tmp_path / "store"))
    examples = {"train": shapes(30, 2), "test": shapes(20, 2)}
    versions = write_dataset(storage, "shapes", examples, ["round", "square"])
    version = versions["test"]  # from 30 on
    publish_scores(storage, "shapes", versions, examples)
    publish_sets(storage, "test", ROWS)
    table = Store(storage.uri).example_sets("shapes", "test")
    return read_sets(table, place_shards([version]), version)


def test_sets_are_ordered_and_their_members_placed(sets):
    assert list(sets.members) == [
        "memorized_exceptions",
        "uncommon_submodes",
        "canonical_prototypes",
        "by_hand",
    ]
    submodes = sets.members["uncommon_submodes"]
    assert submodes["position"].tolist() == [0, 1]
    assert submodes["cluster"].tolist() == [-1, 0]
    assert submodes["x"].tolist() == [0.25, 0.5]
    (lost,) = sets.members["memorized_exceptions"]["cluster"]
    assert lost == NOT_CLUSTERED
    assert np.isnan(sets.members["memorized_exceptions"]["x"]).all()
    assert (sets.left_out, sets.command) == (1, COMMAND)


def test_members_are_counted_by_class(sets):
    assert sets.counts(2) == {
        "memorized_exceptions": [0, 1],
        "uncommon_submodes": [1, 1],
        "canonical_prototypes": [0, 1],
        "by_hand": [0, 1],
    }


def test_each_example_has_its_sets(sets):
    members = memberships(sets)
    assert members.within(slice(0, 10)) == {
        0: [("uncommon_submodes", -1)],
        1: [("uncommon_submodes", 0), ("canonical_prototypes", 2)],
        3: [("memorized_exceptions", NOT_CLUSTERED)],
    }
    assert members.within(slice(10, 20)) == {5: [("by_hand", 0)]}


def test_a_split_may_have_no_sets():
    assert memberships(None).within(slice(0, 10)) == {}
