"""What the report says has changed since the night before."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
import report_store
from report_folder import WRITTEN, read_data, write
from report_store import METRICS, publish_scores, write_dataset

from scoring.report import gather, take_snapshot
from scoring.report.score_columns import STEPS
from scoring.store.storage import Storage

FAR_OUT, RELABELLED = 55, 8
CLASSES = ("circle", "square", "star")
SHARE = 100 / 89  # of one step in a ranking of 90


def second_night(examples):
    """The most prototypical example but one becomes the most outlying; another gets a new label."""
    train = examples["train"]
    value, label = train.values["adv_l2"].copy(), train.label.copy()
    value[FAR_OUT] = -1.0
    label[RELABELLED] = (label[RELABELLED] + 1) % 3
    values = {**train.values, "adv_l2": value}
    return {**examples, "train": replace(train, label=label, values=values)}


@pytest.fixture(scope="module")
def storage(tmp_path_factory, examples):
    storage = Storage(str(tmp_path_factory.mktemp("nights") / "store"))
    for night, of_night in enumerate((examples, second_night(examples)), start=1):
        versions = write_dataset(storage, "shapes", of_night, CLASSES)
        metrics = METRICS if night == 1 else METRICS[:1]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(report_store, "STARTED", report_store.STARTED + timedelta(days=night))
            publish_scores(storage, "shapes", versions, of_night, metrics, night=night)
    return storage


@pytest.fixture(scope="module")
def changed(storage, tmp_path_factory):
    return write(storage.uri, METRICS, tmp_path_factory.mktemp("changed") / "report")


def test_examples_that_changed_are_listed(changed, examples):
    found = read_data(changed, "data/train/changes/adv_l2.js")
    was = examples["train"].values["adv_l2"].argsort().argsort()[FAR_OUT] * SHARE
    position = found["newly_position"]
    assert len(position) == 1
    assert found["newly_after"].tolist() == [0]
    np.testing.assert_allclose(found["newly_before"] / STEPS, was, atol=0.01)
    assert found["moved_position"].tolist() == position.tolist()
    label = int(examples["train"].label[RELABELLED])
    assert found["relabelled_before"].tolist() == [label]
    assert found["relabelled_after"].tolist() == [(label + 1) % 3]


def test_positions_are_those_of_the_later_night(changed):
    data = read_data(changed, "data/train.js")
    shards = [data["shards"][n] for n in data["versions"][data["current"]]]
    found = read_data(changed, "data/train/changes/adv_l2.js")
    starts = np.cumsum([0, *(rows for _, rows, _ in data["shards"])])
    for name, row in (("newly", FAR_OUT), ("relabelled", RELABELLED)):
        (position,) = found[f"{name}_position"]
        number = int(np.searchsorted(starts, position, side="right")) - 1
        first, _, _ = data["shards"][number]
        assert first + position - starts[number] == row
        assert data["shards"][number] in shards


def test_only_what_was_published_anew_is_compared(changed, storage):
    train, test = gather(take_snapshot(storage.uri), METRICS, WRITTEN).splits
    assert [*train.changes] == [*test.changes] == ["adv_l2"]
    assert test.changes["adv_l2"].spearman == pytest.approx(1)
    assert not len(test.changes["adv_l2"].moved["position"])
    html = (changed / "changes.html").read_text()
    assert '#split=train&amp;metric=adv_l2&amp;kind=newly">1</a>' in html
    assert "#split=test" not in html


def test_the_first_night_has_nothing_to_be_compared_with(folder, storage):
    assert "There is no earlier night" in (folder / "changes.html").read_text()
    first = gather(
        take_snapshot(storage.uri, at=take_snapshot(storage.uri).version - 1), METRICS, WRITTEN
    )
    assert first.earlier is None
