"""The model of wrong labels, on made-up classes, models and noise that are known."""

import numpy as np
import pytest

from scoring.analysis.guesses import Guesses, joined
from scoring.analysis.label_noise import fit
from scoring.analysis.unmixing import HALF

ROWS, CLASSES = 4_000, 6


def softmax(logits):
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def examples(noise, *, classes=CLASSES, favour=0.0, sharpness=1.0, belief=HALF, seed=0):
    """True classes, their chances, labels by a channel, and what models make of each class.

    Models are calibrated at sharpness 1, doubt too much below it, too little above it. They are
    sure of most examples, and of others they are not. Some of the noise they believe.
    """
    random = np.random.default_rng(seed)
    scores = random.normal(size=(ROWS, classes)) * random.choice([2.0, 8.0, 16.0], (ROWS, 1))
    scores += favour * np.arange(classes)
    chances = softmax(scores)
    true = (chances.cumsum(axis=1) > random.random((ROWS, 1))).argmax(axis=1)
    labels = (noise[true].cumsum(axis=1) > random.random((ROWS, 1))).argmax(axis=1)
    mixing = (1 - belief) * np.eye(classes) + belief * noise
    return true, chances, labels, softmax(sharpness * scores) @ mixing


def guesses(labels, *views):
    classes = np.tile(np.arange(CLASSES), (len(labels), 1))
    return Guesses(labels=labels, classes=classes, views=views)


def uniform(rate, classes=CLASSES):
    return (1 - rate) * np.eye(classes) + rate / (classes - 1) * (1 - np.eye(classes))


def next_class(rate):
    return (1 - rate) * np.eye(CLASSES) + rate * np.roll(np.eye(CLASSES), 1, axis=1)


def in_one_class(rate):
    noise = np.eye(CLASSES)
    noise[2] = uniform(rate)[2]
    return noise


NOISES = pytest.mark.parametrize(
    ("noise", "favour"),
    [
        (uniform(0.05), 0),
        (uniform(0.25), 0),
        (next_class(0.1), 0),
        (in_one_class(0.3), 0),
        (uniform(0.1), 4),
    ],
    ids=["few", "many", "to the next class", "in one class", "unbalanced"],
)


@NOISES
@pytest.mark.parametrize("belief", [0.0, HALF])
def test_wrong_labels_are_found_as_if_all_were_known(noise, favour, belief):
    """That is, as well as Bayes' rule finds them with the true channel and chances."""
    true, chances, labels, probabilities = examples(
        noise, favour=favour, sharpness=0.5, belief=belief
    )
    given = guesses(labels, probabilities)
    judged = fit(given, CLASSES).judge(given)
    joint = chances * noise[:, labels].T
    best = 1 - joint[np.arange(ROWS), labels] / joint.sum(axis=1)
    wrong = labels != true
    assert judged.wrong.sum() == pytest.approx(wrong.sum(), rel=0.15)
    assert np.abs(judged.wrong - best).mean() < 0.02
    found = wrong & (best >= 0.5)
    assert (judged.wrong[found] >= 0.5).mean() > 0.9
    assert (judged.suggested[found] == true[found]).mean() > 0.8


@NOISES
def test_sure_models_make_the_count_worse_by_a_fifth_at_most(noise, favour):
    true, _, labels, probabilities = examples(noise, favour=favour)
    given = guesses(labels, probabilities)
    judged = fit(given, CLASSES).judge(given)
    assert judged.wrong.sum() == pytest.approx((labels != true).sum(), rel=0.2)


def test_labels_that_are_right_are_left_alone():
    _, _, labels, probabilities = examples(np.eye(CLASSES))
    given = guesses(labels, probabilities)
    judged = fit(given, CLASSES).judge(given)
    assert (probabilities.argmax(axis=1) != labels).mean() > 0.05  # models do err
    assert judged.wrong.sum() < 0.005 * ROWS
    others = np.where(given.classes == labels[:, None], 0, probabilities)
    assert (judged.suggested == others.argmax(axis=1)).mean() > 0.6


def test_of_two_views_the_one_that_knows_counts():
    true, _, labels, probabilities = examples(uniform(0.2))
    by_heart = softmax(np.random.default_rng(1).normal(size=(ROWS, CLASSES)))
    given = guesses(labels, by_heart, probabilities)
    model = fit(given, CLASSES)
    assert model.slopes[1].mean() > 10 * model.slopes[0].mean()
    wrong, suspects = labels != true, model.judge(given).wrong >= 0.5
    assert wrong[suspects].mean() > 0.9


def test_the_likeliest_classes_are_enough():
    """As published beyond 50 classes: the ten largest, and the label's."""
    true, _, labels, probabilities = examples(uniform(0.2, 60), classes=60, belief=0.0)
    largest = np.argsort(-probabilities, axis=1)[:, :10]
    has_label = (largest == labels[:, None]).any(axis=1)
    classes = np.column_stack([largest, np.where(has_label, -1, labels)])
    kept = np.where(classes < 0, 0, np.take_along_axis(probabilities, classes, axis=1))
    given = Guesses(labels=labels, classes=classes, views=(kept,))
    judged = fit(given, 60).judge(given)
    assert judged.wrong.sum() == pytest.approx((labels != true).sum(), rel=0.15)
    assert not (judged.suggested == labels).any()
    assert np.isnan(given.of(np.full(ROWS, 5))).any()
    assert given.of(labels) == pytest.approx(probabilities[np.arange(ROWS), labels])


def test_parts_join_whatever_their_width():
    _, _, labels, probabilities = examples(uniform(0.2))
    wide = guesses(labels, probabilities).take(np.arange(3))
    narrow = Guesses(labels=labels[3:4], classes=np.array([[labels[3]]]), views=(np.ones((1, 1)),))
    both = joined([wide, narrow])
    assert both.classes[3].tolist() == [labels[3], *[-1] * (CLASSES - 1)]
    assert both.views[0][3].tolist() == [1, *[0] * (CLASSES - 1)]
    assert both.labels.tolist() == labels[:4].tolist()


def test_a_class_that_float16_made_impossible_is_possible_still():
    _, _, labels, probabilities = examples(uniform(0.2))
    probabilities[0] = np.eye(CLASSES)[(labels[0] + 1) % CLASSES]
    given = guesses(labels, probabilities)
    judged = fit(given, CLASSES).judge(given)
    assert 0.9 < judged.wrong[0] <= 1
    assert judged.suggested[0] == (labels[0] + 1) % CLASSES
