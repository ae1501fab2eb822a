import numpy as np
import pytest
from report_folder import WRITTEN
from report_store import METRICS, publish_scores, shapes, write_dataset
from scipy.stats import spearmanr

from scoring.report import gather, take_snapshot
from scoring.report.matrices import matrices
from scoring.store.storage import Storage
from scoring.tables.findings import Finding, publish_evaluation


def pair(measure, value, part="", subject="agr x adv_l2"):
    return Finding(subject=subject, part=part, measure=measure, value=value, rows=3)


@pytest.fixture
def storage(tmp_path):
    storage = Storage(str(tmp_path / "store"))
    examples = {"train": shapes(30, 2, seed=1), "test": shapes(20, 2, seed=2)}
    versions = write_dataset(storage, "shapes", examples, ["round", "square"])
    publish_scores(storage, "shapes", versions, examples)
    return storage


def matrices_of(storage):
    return matrices(gather(take_snapshot(storage.uri), METRICS, WRITTEN))


def test_spearman_is_computed_from_the_tables(storage):
    publish_evaluation(storage, "shapes", "correlations_test", [pair("spearman", 0.0)], "")
    found = matrices_of(storage)
    assert list(found) == ["Spearman"]
    train, test = found["Spearman"]
    assert (train.split, test.split) == ("train", "test")
    values = shapes(20, 2, seed=2).values
    expected = spearmanr(values["adv_l2"], -values["agr"]).statistic
    np.testing.assert_allclose(test.values, [[1, expected], [expected, 1]])


def test_findings_add_matrices(storage):
    findings = [
        pair("pearson", 0.25),
        pair("jaccard_distance", 0.75, "lowest 25 %"),
        pair("pearson", float("nan"), subject="adv_l2 x other"),
        pair("pearson", 0.5, subject="no pair"),
    ]
    publish_evaluation(storage, "shapes", "correlations_test", findings, "")
    found = matrices_of(storage)
    assert list(found) == ["Spearman", "Pearson", "Jaccard distance, lowest 25%"]
    (pearson,) = found["Pearson"]
    assert (pearson.split, pearson.metrics) == ("test", ["adv_l2", "agr", "other"])
    nan = np.nan
    np.testing.assert_equal(pearson.values, [[1, 0.25, nan], [0.25, 1, nan], [nan, nan, 1]])
    (jaccard,) = found["Jaccard distance, lowest 25%"]
    np.testing.assert_allclose(jaccard.values, [[0, 0.75], [0.75, 0]])
    np.testing.assert_allclose(jaccard.agreement, [[1, 0.25], [0.25, 1]])
