"""Kinds of issues, and the count of wrong labels with its interval."""

import math
from dataclasses import replace

import numpy as np
import pytest

from scoring.analysis.guesses import Guesses
from scoring.analysis.label_noise import Judged
from scoring.analysis.verdict import (
    EVALUATION,
    Estimate,
    estimate,
    findings,
    fit_noise,
    kinds,
    read_estimates,
    sample_step,
)
from scoring.store.storage import Storage
from scoring.tables import Store
from scoring.tables.findings import publish_evaluation

CLASSES = 5
ESTIMATE = Estimate(rows=100, wrong=12.5, low=9.0, high=16.0, suspects=11, precision=0.9)


def noisy(rows, seed, rate=0.15):
    """Labels, a share of which is wrong, and probabilities of the true classes: N rows."""
    random = np.random.default_rng(seed)
    chances = random.dirichlet(np.full(CLASSES, 0.1), rows)
    true = (chances.cumsum(axis=1) > random.random((rows, 1))).argmax(axis=1)
    wrong = random.random(rows) < rate
    labels = np.where(wrong, (true + random.integers(1, CLASSES, rows)) % CLASSES, true)
    classes = np.tile(np.arange(CLASSES), (rows, 1))
    return wrong, Guesses(labels=labels, classes=classes, views=(chances,))


def test_the_interval_holds_the_count_as_often_as_it_says():
    held = []
    for seed in range(10):
        wrong, guesses = noisy(800, seed)
        fitted = fit_noise(guesses, CLASSES)
        found = estimate(fitted, fitted.model.judge(guesses).wrong, 800)
        held.append(found.low <= wrong.sum() <= found.high)
        assert found.high - found.low < 100
    assert sum(held) >= 8


def test_rows_beyond_the_sample_narrow_the_interval():
    _, guesses = noisy(800, 0)
    fitted = replace(fit_noise(guesses, CLASSES), of_beliefs=(0.1, 0.1, 0.1))
    wrong = fitted.model.judge(guesses).wrong
    some, more = estimate(fitted, wrong, 800), estimate(fitted, np.tile(wrong, 16), 800)
    assert more.wrong == pytest.approx(16 * some.wrong)
    assert more.high - more.low == pytest.approx(4 * (some.high - some.low))
    assert (more.rows, more.suspects) == (12_800, 16 * some.suspects)
    assert more.precision == pytest.approx(some.precision)


def test_the_interval_allows_for_models_that_believe_all_noise_or_none():
    _, guesses = noisy(800, 0)
    fitted = fit_noise(guesses, CLASSES)
    none, half, everything = fitted.of_beliefs
    assert none < half < everything
    wrong = fitted.model.judge(guesses).wrong
    assert half == wrong.mean()
    found = estimate(fitted, wrong, 800)
    by_chance = estimate(replace(fitted, of_beliefs=(half, half, half)), wrong, 800)
    assert by_chance.low - found.low == pytest.approx(800 * (half - none))
    assert found.high - by_chance.high == pytest.approx(800 * (everything - half))


def test_none_found_is_not_none_for_certain():
    _, guesses = noisy(800, 0, rate=0)
    fitted = replace(fit_noise(guesses, CLASSES), shares=np.zeros(10))
    found = estimate(fitted, np.zeros(800), 800)
    assert (found.wrong, found.low, found.high, found.suspects) == (0, 0, 2.3, 0)
    assert math.isnan(found.precision)


@pytest.mark.parametrize(
    ("wrong", "suggested", "label_probability", "memorisation", "kind"),
    [
        (0.9, 0.8, 0.1, 0.9, "wrong label"),
        (0.9, 0.3, 0.1, 0.9, "out of place"),
        (0.6, 0.5, 0.4, 0.1, "ambiguous"),
        (0.3, 0.3, 0.4, 0.1, "ambiguous"),
        (0.3, 0.1, 0.4, 0.1, ""),
        (0.1, 0.1, 0.1, 0.9, "rare but right"),
        (0.1, 0.1, 0.1, float("nan"), ""),
        (0.1, 0.1, 0.1, 0.2, ""),
        (0.1, 0.1, 0.9, 0.9, ""),
    ],
)
def test_kinds(wrong, suggested, label_probability, memorisation, kind):
    judged = Judged(
        wrong=np.array([wrong]),
        suggested=np.array([1]),
        suggested_probability=np.array([suggested]),
    )
    found = kinds(judged, np.array([label_probability]), np.array([memorisation]))
    assert found.tolist() == [kind]


@pytest.mark.parametrize(("rows", "step"), [(0, 1), (10_000, 1), (10_001, 2), (1_000_000, 100)])
def test_a_model_is_fitted_to_ten_thousand_rows_at_most(rows, step):
    assert sample_step(rows) == step


def test_estimates_come_back_from_the_tables(tmp_path):
    estimates = {"train": ESTIMATE, "test": replace(ESTIMATE, suspects=0)}
    rows = [row for split, made in estimates.items() for row in findings(split, made)]
    publish_evaluation(Storage(str(tmp_path)), "mine", EVALUATION, rows, "rescore")
    assert read_estimates(Store(str(tmp_path)).evaluations("mine", EVALUATION)) == estimates
    assert read_estimates(Store(str(tmp_path)).evaluations("other", EVALUATION)) == {}
