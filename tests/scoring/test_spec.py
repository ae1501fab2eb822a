"""Metrics that cannot be: the declaration refuses them."""

import pytest

from scoring.folds.dynamics import LabelDynamics, label_probability, last
from scoring.folds.gradients import GradientVariance
from scoring.metrics.conf import METRIC as CONF
from scoring.metrics.msp import METRIC as MSP
from scoring.spec import FoldedMetric, ModelMetric, Signal

DECLARED = {
    "name": "mine",
    "summary": "what it is",
    "purpose": "hard",
    "version": 1,
    "unit": "probability",
    "prototypical": "high",
    "source": "section 1",
}
FOLD = LabelDynamics(label_probability, last)


def first(config, kept):
    return [1]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"signal": Signal.BASE, "fold": FOLD},
            "mine: expected a signal to fold, got base; a metric that needs the base model itself "
            "is a ModelMetric",
        ),
        (
            {"signal": Signal.ENSEMBLE, "fold": GradientVariance("label")},
            "mine: expected checkpoints for input gradients, got ensemble",
        ),
        (
            {"signal": Signal.PAIRS, "fold": FOLD, "epochs": first},
            "mine: expected checkpoints for epochs, got pairs",
        ),
        ({"signal": Signal.ENSEMBLE}, "fold"),
        ({"signal": Signal.ENSEMBLE, "fold": FOLD, "score": MSP.score}, "score"),
    ],
)
def test_a_fold_must_fit_its_signal(parts, message):
    with pytest.raises(TypeError, match=message):
        FoldedMetric(**DECLARED, **parts)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({}, "score"),
        ({"score": MSP.score, "fold": FOLD}, "fold"),
        ({"score": MSP.score, "signal": Signal.ENSEMBLE}, "signal"),
        ({"score": MSP.score, "epochs": first}, "epochs"),
    ],
)
def test_a_model_metric_scores_and_folds_nothing(parts, message):
    with pytest.raises(TypeError, match=message):
        ModelMetric(**DECLARED, **parts)


def test_metrics_can_be_keys():
    assert len({CONF, MSP, CONF}) == 2


def test_orientation_makes_high_prototypical():
    low = FoldedMetric(**(DECLARED | {"prototypical": "low"}), signal=Signal.ENSEMBLE, fold=FOLD)
    assert CONF.oriented(2.0) == 2.0
    assert low.oriented(2.0) == -2.0
