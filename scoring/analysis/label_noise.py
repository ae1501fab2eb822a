"""How likely each label is wrong, judged from what models that never saw the example make of it.

    q(x)_c = softmax_c(sum over v of s_vc log p_v(x)_c + b_c)      the true class, label unknown
    T_cy = how often an example of class c is labelled y            the noise
    P(true class = c | x, label y) = q(x)_c T_cy / sum over k of q(x)_k T_ky

p_v are probabilities [N, C] of one or more views, such as those of finished models and those of all
their epochs. Models that never saw a label cannot know it by heart, but they doubt too much where
labels are noisy, and too little where they err alike: s and b put that right (vector scaling, Guo
et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2). Nobody says which
labels are wrong, so s, b and T are fitted together, by expectation maximisation, to the labels that
were given. That tells a wrong label from a wrong model: models err where they are unsure, while
labels go wrong where models are sure.

It assumes that labels go wrong by class (Dawid & Skene, "Maximum Likelihood Estimation of Observer
Error-Rates", Applied Statistics 1979; Northcutt et al., "Confident Learning", JAIR 2021, section 2,
which counts T from thresholds instead), and that confidence means the same in all rows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

from scoring.arrays import Bools, Floats, Ints

_LEAST = 1e-6  # probability; that of a class that float16 made 0
_MOST_ROUNDS = 200
_STILL = 1e-4  # change of a slope
_STEPS = 8  # of the inner maximisation, which goes on in the next round
_START = 0.1  # share of wrong labels to begin with
_PRIOR_ROWS = 5.0  # of each class, whose labels are wrong as often as all labels are
_PRIOR_WRONG = 30.0  # wrong labels of each class, spread evenly
_PENALTY = 10.0  # rows; of slopes that differ between classes


@dataclass(frozen=True, kw_only=True)
class Guesses:
    """What models make of N labelled examples that they did not see."""

    labels: Ints
    """[N] class indices."""
    classes: Ints
    """[N, K] the classes that probabilities are known of; -1 where a row has fewer than K. The
    label is among them."""
    views: tuple[Floats, ...]
    """[N, K] probabilities of those classes, one array for each view."""

    def of(self, classes: Ints) -> Floats:
        """Return the probability [N] of one class for each example, by the first view.

        NaN where it is unknown.
        """
        found = self.classes == classes[:, None]
        place = found.argmax(axis=1)[:, None]
        probability = np.take_along_axis(self.views[0], place, axis=1)[:, 0]
        return np.where(found.any(axis=1), probability, np.nan)

    def take(self, rows: Ints | Bools) -> "Guesses":
        """Return some of the rows."""
        views = tuple(view[rows] for view in self.views)
        return Guesses(labels=self.labels[rows], classes=self.classes[rows], views=views)


def joined(parts: Sequence[Guesses]) -> Guesses:
    """Return the examples of several parts, one after another."""
    columns = max((part.classes.shape[1] for part in parts), default=0)

    def more(part: Guesses) -> tuple[tuple[int, int], tuple[int, int]]:
        return (0, 0), (0, columns - part.classes.shape[1])

    return Guesses(
        labels=np.concatenate([part.labels for part in parts]),
        classes=np.concatenate([np.pad(p.classes, more(p), constant_values=-1) for p in parts]),
        views=tuple(
            np.concatenate([np.pad(part.views[v], more(part)) for part in parts])
            for v in range(len(parts[0].views))
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What is to be thought of N labels."""

    wrong: Floats
    """[N] probability that the label is wrong."""
    suggested: Ints
    """[N] the likeliest class other than the label."""
    suggested_probability: Floats
    """[N] probability that this is the true class."""


@dataclass(frozen=True, kw_only=True)
class LabelNoise:
    """The fitted model; the letters are those of the module's docstring."""

    slopes: Floats
    """[V, C] s."""
    offsets: Floats
    """[C] b."""
    channel: Floats
    """[C, C] T: true class, label."""

    def judge(self, guesses: Guesses) -> Judged:
        """Judge labels."""
        share, _ = _shares(guesses, _log_guess(_features(guesses), self), self.channel)
        is_label = guesses.classes == guesses.labels[:, None]
        others = np.where(is_label | (guesses.classes < 0), -1.0, share)
        best = others.argmax(axis=1)[:, None]
        return Judged(
            wrong=1 - share[is_label],
            suggested=np.take_along_axis(guesses.classes, best, axis=1)[:, 0],
            suggested_probability=np.take_along_axis(share, best, axis=1)[:, 0],
        )


def fit(guesses: Guesses, classes: int, start: LabelNoise | None = None) -> LabelNoise:
    """Fit the model to the labels of some examples.

    Args:
        guesses: of N examples.
        classes: how many there are.
        start: where to begin, such as the model of nearly the same examples.
    """
    features = _features(guesses)
    model = start or LabelNoise(
        slopes=np.full((len(guesses.views), classes), 1 / len(guesses.views)),
        offsets=np.zeros(classes),
        channel=(1 - _START) * np.eye(classes) + _START / classes,
    )
    for _ in range(_MOST_ROUNDS):
        share, _ = _shares(guesses, _log_guess(features, model), model.channel)
        slopes, offsets = _calibrated(features, share, model)
        still = np.abs(slopes - model.slopes).max() < _STILL
        model = LabelNoise(
            slopes=slopes, offsets=offsets, channel=_channel(guesses, share, classes)
        )
        if still:
            break
    return model


@dataclass(frozen=True)
class _Features:
    logs: Floats
    """[V, N, K] log p; 0 where there is no class."""
    classes: Ints
    """[N, K], 0 where there is none."""
    absent: Floats
    """[N, K] -inf where there is no class, else 0."""


def _features(guesses: Guesses) -> _Features:
    known = guesses.classes >= 0
    logs = [np.where(known, np.log(np.maximum(view, _LEAST)), 0.0) for view in guesses.views]
    absent = np.where(known, 0.0, -np.inf)
    return _Features(np.stack(logs), np.maximum(guesses.classes, 0), absent)


def _log_guess(features: _Features, model: LabelNoise) -> Floats:
    """Return log q, [N, K]."""
    return _log_softmax(features, model.slopes, model.offsets)


def _log_softmax(features: _Features, slopes: Floats, offsets: Floats) -> Floats:
    scaled = (slopes[:, features.classes] * features.logs).sum(axis=0)
    logits = scaled + offsets[features.classes] + features.absent
    logs: Floats = logits - logsumexp(logits, axis=1, keepdims=True)
    return logs


def _shares(guesses: Guesses, log_guess: Floats, channel: Floats) -> tuple[Floats, Floats]:
    """Return P(true class | x, label) [N, K], and P(label | x) [N]."""
    joint = np.exp(log_guess) * channel[np.maximum(guesses.classes, 0), guesses.labels[:, None]]
    total = joint.sum(axis=1)
    return joint / total[:, None], total


def _channel(guesses: Guesses, share: Floats, classes: int) -> Floats:
    """Return T [C, C], smoothed: few wrong labels of a class say little of where they go."""
    cell = np.maximum(guesses.classes, 0) * classes + guesses.labels[:, None]
    counts = np.bincount(cell.ravel(), share.ravel(), classes**2).reshape(classes, classes)
    wrong = counts * (1 - np.eye(classes))
    of_class = wrong.sum(axis=1)
    overall = of_class.sum() / len(share)
    rate = (of_class + _PRIOR_ROWS * overall) / (counts.sum(axis=1) + _PRIOR_ROWS)
    evenly = (1 - np.eye(classes)) / (classes - 1)
    where_to = (wrong + _PRIOR_WRONG * evenly) / (of_class + _PRIOR_WRONG)[:, None]
    channel: Floats = where_to * rate[:, None] + np.diag(1 - rate)
    return channel


def _calibrated(features: _Features, share: Floats, model: LabelNoise) -> tuple[Floats, Floats]:
    """Take steps towards the s and b under which q is most like the shares."""
    shape, of_slopes = model.slopes.shape, model.slopes.size
    found = minimize(
        _loss(features, share, shape),
        np.concatenate([model.slopes.ravel(), model.offsets]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None)] * of_slopes + [(None, None)] * len(model.offsets),
        options={"maxiter": _STEPS},
    )
    return found.x[:of_slopes].reshape(shape), found.x[of_slopes:]


def _loss(
    features: _Features, share: Floats, shape: tuple[int, int]
) -> Callable[[Floats], tuple[float, Floats]]:
    """Return the loss of s and b: cross-entropy of the shares, a penalty; and its gradient."""
    present, (views, classes), rows = features.absent == 0, shape, len(share)
    column = features.classes.ravel()

    def loss(point: Floats) -> tuple[float, Floats]:
        slopes, offsets = point[:-classes].reshape(shape), point[-classes:]
        logs = _log_softmax(features, slopes, offsets)
        error = np.where(present, np.exp(logs) - share, 0.0)
        apart = slopes - slopes.mean(axis=1, keepdims=True)
        entropy = -np.where(present, share * logs, 0.0).sum() + _PENALTY * (apart**2).sum() / 2
        of_slopes = [
            np.bincount(column, (error * features.logs[view]).ravel(), classes)
            for view in range(views)
        ]
        of_offsets = np.bincount(column, error.ravel(), classes)
        gradient = np.concatenate([(of_slopes + _PENALTY * apart).ravel(), of_offsets])
        return entropy / rows, gradient / rows

    return loss
