import numpy as np
import pyarrow.parquet as pq
import pytest
from awkward import BROKEN, CLASSES, UNLABELLED
from cleanlab.classification import CleanLearning
from sklearn.linear_model import LogisticRegression

from scoring.exports import label_issues
from scoring.tables import Store


@pytest.fixture
def frame(write):
    return pq.read_table(write(label_issues("agr", 0.1))).to_pandas()


def test_columns_are_those_of_cleanlab(frame):
    random = np.random.default_rng(0)
    shares = random.dirichlet(np.ones(3), 50)
    own = CleanLearning(verbose=False).find_label_issues(
        labels=random.integers(0, 3, 50), pred_probs=shares
    )
    assert set(own.columns) < set(frame.columns)
    for column in own.columns:
        assert frame.dropna()[column].dtype.kind == own[column].dtype.kind


def test_the_quality_of_a_label_is_its_percentile(frame, store):
    rows = Store(store).scores(metric="agr").to_pylist()
    published = {row["example_id"]: row for row in rows}
    labelled = [i for i in sorted(published) if i != UNLABELLED]
    assert frame.example_id.tolist() == labelled
    for row in frame.to_dict("records"):
        row_published = published[row["example_id"]]
        assert (row["split"], row["given_label"]) == (
            row_published["split"],
            row_published["label"],
        )
        assert row["given_label_name"] == CLASSES[row_published["label"]]
        if row["example_id"] == BROKEN:
            assert np.isnan(row["label_quality"])
            assert not row["is_label_issue"]
        else:
            assert row["label_quality"] == pytest.approx(row_published["percentile"] / 100)
            assert row["is_label_issue"] == (row_published["percentile"] < 10)
    assert frame[frame.split == "test"].is_label_issue.sum() == 4
    assert frame[frame.split == "train"].is_label_issue.sum() == 6


def test_cleanlab_trains_on_what_is_left(frame, examples):
    test = frame[frame.split == "test"].reset_index(drop=True)
    images = examples["test"].images.reshape(40, -1) / 255
    learning = CleanLearning(LogisticRegression(), verbose=False)
    learning.fit(images, test.given_label.to_numpy(), label_issues=test)
    good = ~test.is_label_issue.to_numpy()
    plain = LogisticRegression().fit(images[good], examples["test"].label[good])
    assert np.allclose(learning.clf.coef_, plain.coef_)
    issues = learning.get_label_issues()
    assert issues.is_label_issue.sum() == 4
    assert issues.sort_values("label_quality").is_label_issue[:4].all()
