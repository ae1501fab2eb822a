"""What the report says of labels."""

from collections import Counter

import numpy as np
import pytest
from report_folder import WRITTEN, read_data, write
from report_labels import Issue, publish_labels
from report_store import METRICS, publish_scores, shapes, write_dataset

from scoring.analysis.review_findings import ABOVE_CUT, ALL
from scoring.report import gather, take_snapshot
from scoring.report.class_tables import class_tables
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


def test_examples_know_their_verdict_and_how_likely_their_prediction_is(written, examples):
    answers = read_data(written, "data/train/answers/0.js")
    train, predicted = examples["train"], answers["predicted"]
    of_row = {issue.row: issue for issue in ISSUES}
    for row, label in enumerate(train.label):
        issue, known = of_row.get(row), {int(label): 100}
        if issue:
            known = {
                int(label): round(100 - 100 * issue.wrong),
                issue.suggested: round(100 * issue.wrong),
            }
        assert answers["probability"][row] == known.get(int(predicted[row]), 255)
    rows = read_data(written, "data/train/rows/1-0.js")  # from 25 on
    assert rows["wrong"][5] == np.float32(0.96)
    assert rows["suggested"][5] == 1
    assert "probability" not in read_data(written, "data/test/answers/0.js")


def test_classes_are_counted_and_their_numbers_open_examples(written, examples):
    html = (written / "classes.html").read_text()
    for split, of_split in examples.items():
        pairs = Counter(zip(of_split.label.tolist(), of_split.predicted.tolist(), strict=True))
        for (label, predicted), rows in pairs.items():
            link = f"#split={split}&amp;metric=adv_l2&amp;class={label}&amp;predicted={predicted}"
            assert f'href="examples.html{link}">{rows}</a>' in html
    expected = (0.96, 0.9 + 0.3, 0.0)
    for label, wrong in enumerate(expected):
        link = f'<a href="labels.html#split=train&amp;class={label}">{wrong:.1f}</a>'
        assert (link in html) == (wrong > 0)
    assert html.count("wrong labels</th>") == 1  # the test split was not judged


def test_of_many_classes_the_most_confused_pairs_are_shown(tmp_path):
    examples = {split: shapes(120, 40, seed=3) for split in ("train", "test")}
    storage = Storage(str(tmp_path / "store"))
    versions = write_dataset(storage, "many", examples, [f"class {i}" for i in range(40)])
    publish_scores(storage, "many", versions, examples)
    (_, tables) = (
        class_tables(s, 40) for s in gather(take_snapshot(storage.uri), METRICS, WRITTEN).splits
    )
    assert not tables.has_matrix
    wrong = examples["test"].label != examples["test"].predicted
    assert sum(rows for _, _, rows in tables.most_confused) == wrong.sum()
    assert all(predicted == (label + 1) % 40 for label, predicted, _ in tables.most_confused)
