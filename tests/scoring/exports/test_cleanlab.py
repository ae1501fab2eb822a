import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from awkward import BROKEN, CLASSES, UNLABELLED
from cleanlab.classification import CleanLearning
from sklearn.linear_model import LogisticRegression

from scoring.exports import LABEL_ISSUES, label_issues
from scoring.staged.probabilities import probability_lists
from scoring.store.storage import Storage
from scoring.tables import Store
from scoring.tables.probabilities import ShardProbabilities, publish_probabilities


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


@pytest.fixture
def judged(store, selection, write):
    """Label issues by the verdict: rows 4 and 5 of each split are probably wrong."""
    for split in ("train", "test"):
        version = selection.version(split)
        shards = [judged_shard(shard) for shard in version.shards]
        publish_probabilities(Storage(store), "shapes", split, "0a" * 16, shards, version.version)
    return pq.read_table(write(LABEL_ISSUES)).to_pandas()


def judged_shard(shard):
    ids = np.arange(shard.first_id, shard.first_id + shard.rows)
    known = ids != shard.first_id  # the first row of each shard was not judged
    lists = probability_lists(
        np.array([[0, 2]] * len(ids)), np.array([[0.25, 0.75]] * len(ids)), None, known
    )
    staged = pa.table(
        {
            "example_id": ids,
            "value": np.full(len(ids), 2.0),
            "status": pa.nulls(len(ids), pa.string()),
            **lists,
        }
    )
    wrong = np.where(np.isin(ids % 60, (4, 5)), 0.75, 0.125)
    return ShardProbabilities(
        staged=staged,
        labels=pa.chunked_array([pa.array([0] * len(ids), pa.int32())]),
        wrong=pa.array(wrong, mask=~known),
        suggested=pa.array(np.full(len(ids), 2), pa.int32(), mask=~known),
    )


def test_the_verdict_comes_with_its_probabilities(judged, frame):
    assert judged["example_id"].tolist() == frame["example_id"].tolist()
    assert set(frame.columns) < set(judged.columns)
    known = judged[judged["label_quality"].notna()]
    suspects = known["example_id"].isin([i for i in known["example_id"] if i % 60 in (4, 5)])
    assert suspects.sum() == 4
    assert (known["is_label_issue"] == suspects).all()
    assert set(known["label_quality"][suspects]) == {0.25}
    assert set(known["suggested_label_name"]) == {CLASSES[2]}
    assert np.stack(known["pred_probs"].tolist()).tolist() == [[0.25, 0, 0.75]] * len(known)
    unknown = judged[judged["label_quality"].isna()]
    assert len(unknown)
    assert not unknown["is_label_issue"].any()
    assert unknown["pred_probs"].isna().all()


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
