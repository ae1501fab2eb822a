"""What the report says of labels."""

import numpy as np
import pytest
from report_folder import WRITTEN, read_data, write
from report_labels import Issue, publish_labels
from report_store import METRICS, publish_scores, shapes, write_dataset

from scoring.analysis.review_findings import ABOVE_CUT, ALL
from scoring.report import gather, take_snapshot
from scoring.store.storage import Storage
from scoring.tables.findings import Finding, publish_evaluation

CLASSES = ("circle", "square", "star")
ISSUES = (
    Issue(30, 1, 0.96),
    Issue(7, 2, 0.9, "out of place"),
    Issue(1, 0, 0.3, "ambiguous"),
)


@pytest.fixture(scope="module")
def judged(tmp_path_factory, examples):
    """A store in which the labels of the training split are judged."""
    storage = Storage(str(tmp_path_factory.mktemp("judged") / "store"))
    versions = write_dataset(storage, "shapes", examples, CLASSES)
    publish_scores(storage, "shapes", versions, examples)
    publish_labels(storage, "shapes", versions["train"], examples["train"].label, ISSUES)
    return storage


@pytest.fixture(scope="module")
def written(judged, tmp_path_factory):
    return write(judged.uri, METRICS, tmp_path_factory.mktemp("written") / "report")


def words(folder, page):
    return " ".join((folder / f"{page}.html").read_text().split())


def test_the_verdict_leads(written):
    for page in ("labels", "index"):
        text = words(written, page)
        assert "<strong>about 2</strong> of 90 labels are wrong" in text
        assert "90% interval 1 to 9" in text
        assert '#split=train">2 suspects</a>' in text
        assert "93% of them are expected" in text
    assert "--dataset shapes --split train</code>" in words(written, "labels")


def test_issues_come_in_their_order(written):
    issues = read_data(written, "data/train/issues.js")
    assert issues["position"].tolist() == [30, 7, 1]
    assert issues["label"].tolist() == [0, 1, 1]
    assert issues["suggested"].tolist() == [1, 2, 0]
    np.testing.assert_allclose(issues["wrong"], [0.96, 0.9, 0.3], rtol=1e-6)
    kinds = read_data(written, "data/report.js")["kinds"]
    assert [kinds[k] for k in issues["kind"]] == [i.kind for i in ISSUES]
    assert read_data(written, "data/test.js")["judged"] is None
    assert not (written / "data/test/issues.js").exists()


def test_what_people_measured_stands_beside(judged, tmp_path):
    found = {"wrong": 4.4, "wrong_low": 2.6, "wrong_high": 7.7}
    findings = [
        *(Finding(subject=ALL, part="", measure=m, value=v, rows=40) for m, v in found.items()),
        Finding(subject=ABOVE_CUT, part="", measure="precision", value=0.5, rows=2),
    ]
    publish_evaluation(judged, "shapes", "review_train", findings, "")
    text = words(write(judged.uri, METRICS, tmp_path / "report"), "labels")
    assert "40 checks by people say <strong>about 4</strong> (90% interval 3 to 8)" in text
    assert "50% of the suspects were wrong" in text


def test_labels_that_were_not_judged_are_not_shown(folder):
    assert "No labels have been judged yet" in words(folder, "labels")
    assert "labels are wrong" not in words(folder, "index")


def test_a_verdict_on_data_that_is_not_published_is_left_out(judged, examples, tmp_path):
    storage = Storage(str(tmp_path / "store"))
    versions = write_dataset(storage, "shapes", examples, CLASSES)
    publish_labels(storage, "shapes", versions["train"], examples["train"].label, ISSUES)
    other = {**examples, "train": shapes(90, 3, seed=9)}
    versions = write_dataset(storage, "shapes", other, CLASSES)
    publish_scores(storage, "shapes", versions, other)
    report = gather(take_snapshot(storage.uri), METRICS, WRITTEN)
    assert [split.labels for split in report.splits] == [None, None]
