"""Metrics of training dynamics, on runs written by hand."""

import numpy as np
import pytest
import torch
from apply_metric import fold

from scoring.metrics import (
    aum,
    confidence_mean,
    el2n,
    forgetting,
    label_conf,
    label_margin,
    learning_order,
    variability,
)
from scoring.spec import Checkpoint, Output

# Whether each of five examples is right after epochs 1 to 4; the label is class 0.
RIGHT = np.array(
    [
        [1, 1, 1, 1],
        [0, 0, 1, 1],
        [1, 0, 1, 0],
        [0, 0, 0, 0],
        [0, 1, 0, 1],
    ]
)
LABELS = np.zeros(5, dtype=np.int64)
CHECKPOINT = [aum, confidence_mean, el2n, forgetting, learning_order, variability]


def run_of(right, run=0):
    """Return logits [N, 3] of each epoch: the label's is 2 or -1, the others' are 0 and -3."""
    epochs = right.shape[1]
    outputs = []
    for epoch, now in enumerate(right.T, start=1):
        own = torch.from_numpy(np.where(now, 2.0, -1.0)).float()
        logits = torch.stack([own, torch.zeros(len(own)), torch.full((len(own),), -3.0)], dim=1)
        place = Checkpoint(run=run, epoch=epoch, epochs=epochs)
        outputs.append(Output(logits=logits, checkpoint=place))
    return outputs


def probability(own):
    return np.exp(own) / (np.exp(own) + 1 + np.exp(-3))


YES, NO = probability(2.0), probability(-1.0)


@pytest.mark.parametrize(
    ("module", "want"),
    [
        (learning_order, [1, 3, 5, 5, 4]),
        (forgetting, [0, 0, 2, 5, 1]),
        (aum, [2, 0.5, 0.5, -1, 0.5]),
        (confidence_mean, [YES, (YES + NO) / 2, (YES + NO) / 2, NO, (YES + NO) / 2]),
        (variability, [0, (YES - NO) / 2, (YES - NO) / 2, 0, (YES - NO) / 2]),
    ],
)
def test_they_are_their_definitions(module, want):
    got = fold(module.METRIC, run_of(RIGHT), LABELS)
    np.testing.assert_allclose(got.value, want, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(got.spread, 0, atol=1e-12)


def test_el2n_is_the_norm_at_an_early_epoch():
    def norm(own):
        f = np.array([np.exp(own), 1, np.exp(-3)])
        f /= f.sum()
        return np.linalg.norm(f - [1, 0, 0])

    want = np.where(RIGHT, norm(2.0), norm(-1.0))
    got = fold(el2n.METRIC, run_of(RIGHT), LABELS)
    np.testing.assert_allclose(got.value, want[:, 2], rtol=1e-6)
    got = fold(el2n.METRIC, run_of(RIGHT), LABELS, el2n.Config(epoch=1))
    np.testing.assert_allclose(got.value, want[:, 0], rtol=1e-6)
    got = fold(el2n.METRIC, run_of(RIGHT), LABELS, el2n.Config(epoch=9))
    np.testing.assert_allclose(got.value, want[:, 3], rtol=1e-6)


@pytest.mark.parametrize("module", CHECKPOINT, ids=lambda module: module.METRIC.name)
def test_runs_are_averaged(module):
    runs = [RIGHT, RIGHT[::-1].copy()]
    each = [fold(module.METRIC, run_of(run), LABELS).value for run in runs]
    together = [o for i, run in enumerate(runs) for o in run_of(run, run=i)]
    got = fold(module.METRIC, together, LABELS)
    np.testing.assert_allclose(got.value, np.mean(each, axis=0), rtol=1e-9)
    np.testing.assert_allclose(got.spread, np.std(each, axis=0), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(
    "module", [*CHECKPOINT, label_conf, label_margin], ids=lambda module: module.METRIC.name
)
def test_without_a_label_there_is_no_value(module):
    labels = np.array([0, -1, 0, 0, 0])
    got = fold(module.METRIC, run_of(RIGHT), labels)
    assert np.isnan(got.value).tolist() == [False, True, False, False, False]
    assert got.status.tolist() == ["", "unlabelled", "", "", ""]


def test_ensembles_give_the_label_a_probability_and_a_margin():
    models = [Output(logits=o.logits) for o in run_of(RIGHT)]
    got = fold(label_conf.METRIC, models, LABELS)
    share = RIGHT.mean(axis=1)
    np.testing.assert_allclose(got.value, share * YES + (1 - share) * NO, rtol=1e-6)
    got = fold(label_margin.METRIC, models, LABELS)
    np.testing.assert_allclose(got.value, share * 2 - (1 - share), rtol=1e-6)
    np.testing.assert_allclose(got.spread, np.where(RIGHT, 2, -1).std(axis=1), rtol=1e-6)


def test_an_epoch_before_the_first_is_refused():
    with pytest.raises(ValueError, match="epoch: expected 1 or more, got 0"):
        el2n.Config(epoch=0)
