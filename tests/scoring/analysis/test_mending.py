import numpy as np
import pytest

from scoring.analysis import mending
from scoring.analysis.mending import MislabelledRows
from scoring.representers.layer_rows import LayerRows

ROWS, TESTS = 600, 400


def rows_of(features: np.ndarray, labels: np.ndarray) -> LayerRows:
    outputs = np.zeros((len(labels), 2), np.float32)
    return LayerRows(ids=np.arange(len(labels)), labels=labels, features=features, outputs=outputs)


@pytest.fixture
def rows() -> MislabelledRows:
    """Two clusters that overlap a little; 40 % of the training labels are flipped."""
    draws = np.random.default_rng(0)
    labels = draws.integers(0, 2, ROWS + TESTS)
    features = draws.standard_normal((ROWS + TESTS, 20)).astype(np.float32)
    features[:, 0] += 3 * (labels - 0.5)
    features[:, -1] = 1
    given = labels[:ROWS].copy()
    flipped = draws.random(ROWS) < 0.4
    given[flipped] = 1 - given[flipped]
    return MislabelledRows(
        train=rows_of(features[:ROWS], given),
        true=labels[:ROWS],
        test=rows_of(features[ROWS:], labels[ROWS:]),
        penalty=0.003,
    )


def test_a_perfect_order_finds_all_flips_and_correcting_them_pays(rows: MislabelledRows) -> None:
    wrong = rows.train.labels != rows.true
    found = mending.curves(rows, {"known": wrong.astype(float)}, (0.2, 0.5))
    hits, accuracy = found["known", 0.5]
    assert hits == 1
    assert found["known", 0.2][0] == pytest.approx(0.2 * ROWS / wrong.sum(), abs=0.01)
    assert accuracy > found["known", 0.0][1] + 0.05
    assert found["known", 0.0][0] == 0


def test_loss_and_influence_find_more_than_chance(rows: MislabelledRows) -> None:
    orders = mending.suspicions(rows, seed=0)
    found = mending.curves(rows, orders, (0.3,))
    chance = found["random", 0.3][0]
    assert chance == pytest.approx(0.3, abs=0.08)
    assert found["loss", 0.3][0] > chance + 0.15
    assert found["influence", 0.3][0] > chance + 0.15


def test_rows_without_a_score_come_last(rows: MislabelledRows) -> None:
    wrong = rows.train.labels != rows.true
    suspicion = np.where(wrong, np.nan, 0.0)
    found = mending.curves(rows, {"blind": suspicion}, (float((~wrong).mean()),))
    assert max(hits for hits, _ in found.values()) < 0.01


def test_findings_are_means_over_draws() -> None:
    draws = [{("loss", 0.3): (0.5, 0.8)}, {("loss", 0.3): (0.7, 0.9)}]
    found = {f.measure: f for f in mending.findings(draws, rows=10)}
    assert found["flips_found"].value == pytest.approx(0.6)
    assert found["flips_found"].spread == pytest.approx(0.1)
    assert found["test_accuracy"].part == "30 %"
