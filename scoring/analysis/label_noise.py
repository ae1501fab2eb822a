"""How likely each label is wrong, judged from what models that never saw the example make of it.

    q(x)_c = softmax_c(sum over v of s_vc log p_v(x)_c + b_c)      the true class, label unknown
    T_cy = how often an example of class c is labelled y            the noise
    P(true class = c | x, label y) = q(x)_c T_cy / sum over k of q(x)_k T_ky

p_v are probabilities [N, C] of one or more views, such as those of finished models and those of all
their epochs, freed of the noise that models have learnt (`scoring.analysis.unmixing`). Models that
never saw a label cannot know it by heart, but they doubt too much where labels are noisy, and too
little where they err alike: s and b put that right (vector scaling, Guo et al., "On Calibration of
Modern Neural Networks", ICML 2017, section 4.2). Nobody says which labels are wrong, so s, b and T
are fitted together, by expectation maximisation, to the labels that were given. That tells a wrong
label from a wrong model: models err where they are unsure, while labels go wrong where models are
sure, too.

Where models are weak, the labels alone cannot tell the two apart. So T begins with a tenth of the
rows of each class, those that models are surest of, and is held there by as many rows as are a
tenth, at most 100: what is labelled otherwise there is labelled wrong (anchor points, Patrini et
al., "Making Deep Neural Networks Robust to Label Noise", CVPR 2017, section 4.2).

Of many classes, only the likeliest are known, and the label's. All others of an example stand
together, the rest, as so many classes of the same probability, so that it does not speak for a
label that its probability is known.

It assumes that labels go wrong by class (Dawid & Skene, "Maximum Likelihood Estimation of Observer
Error-Rates", Applied Statistics 1979; Northcutt et al., "Confident Learning", JAIR 2021, section 2,
which counts T from thresholds instead), and that confidence means the same in all rows.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

from scoring.analysis.guesses import Features, Guesses, features_of
from scoring.analysis.unmixing import HALF, unmixed
from scoring.arrays import Floats, Ints

_MOST_ROUNDS = 60
_STILL = 1e-3  # change of a slope
_STEPS = 3  # of the inner maximisation, which goes on in the next round
_FIRST_ROUNDS = 15
_SUREST = 10  # one in so many rows
_PRIOR_SUREST = 100.0  # rows of each class, at most
_NEVER = 1e-6  # share of wrong labels, at least: without any, all other classes look alike
_PRIOR_ROWS = 5.0  # of each class, whose labels are wrong as often as all labels are
_PRIOR_WRONG = 10.0  # wrong labels of each class, spread evenly
_PENALTY = 10.0  # rows; of slopes that differ between classes


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
    """[C + 1, C] T: true class, the rest last; label."""
    prior: Floats
    """[C, C] rows by class and label that T was told of before."""
    belief: float
    """How much of the noise the models believe, in [0, 1]."""

    def judge(self, guesses: Guesses) -> Judged:
        """Judge labels."""
        known = _share(_features(guesses, self), guesses.labels, self)
        share = known[:, : guesses.classes.shape[1]]
        is_label = guesses.classes == guesses.labels[:, None]
        others = np.where(is_label | (guesses.classes < 0), -1.0, share)
        best = others.argmax(axis=1)[:, None]
        return Judged(
            wrong=np.clip(1 - share[is_label], 0.0, 1.0),
            suggested=np.take_along_axis(guesses.classes, best, axis=1)[:, 0],
            suggested_probability=np.take_along_axis(share, best, axis=1)[:, 0],
        )


def fit(
    guesses: Guesses, classes: int, start: LabelNoise | None = None, belief: float = HALF
) -> LabelNoise:
    """Fit the model to the labels of some examples.

    Args:
        guesses: of N examples.
        classes: how many there are.
        start: where to begin, such as the model of nearly the same examples, with its belief.
        belief: without `start`, how much of the noise the models believe.
    """
    labels = guesses.labels
    model = start or _first(guesses, classes, belief)
    for _ in range(_MOST_ROUNDS):
        features = _features(guesses, model)
        share = _share(features, labels, model)
        slopes, offsets = _calibrated(features, share, model)
        still = np.abs(slopes - model.slopes).max() < _STILL
        channel = _channel(features, labels, share, model.prior)
        model = replace(model, slopes=slopes, offsets=offsets, channel=channel)
        if still:
            break
    return model


def _features(guesses: Guesses, model: LabelNoise) -> Features:
    """Return the features of guesses, freed of the noise where all classes are known."""
    classes = model.channel.shape[1]
    if guesses.classes.shape[1] < classes or not model.belief:
        return features_of(guesses, classes)
    views = tuple(unmixed(view, model.channel[:-1], model.belief) for view in guesses.views)
    return features_of(replace(guesses, views=views), classes)


def _first(guesses: Guesses, classes: int, belief: float) -> LabelNoise:
    """Return where to begin: s and b as if all labels were right, T from the surest rows."""
    features, labels = features_of(guesses, classes), guesses.labels
    model = replace(_without_noise(features, labels, classes), belief=belief)
    prior = _of_the_surest(features, labels, model, classes)
    channel = _channel(features, labels, np.zeros(features.classes.shape), prior)
    return replace(model, channel=channel, prior=prior)


def _without_noise(features: Features, labels: Ints, classes: int) -> LabelNoise:
    """Fit s and b to the labels as if all were right."""
    views = len(features.logs)
    model = LabelNoise(
        slopes=np.full((views, classes), 1 / views),
        offsets=np.zeros(classes),
        channel=np.eye(classes + 1, classes),
        prior=np.zeros((classes, classes)),
        belief=0.0,
    )
    share = (features.classes == labels[:, None]) & features.present
    for _ in range(_FIRST_ROUNDS):
        slopes, offsets = _calibrated(features, share.astype(np.float64), model)
        model = replace(model, slopes=slopes, offsets=offsets)
    return model


def _of_the_surest(features: Features, labels: Ints, model: LabelNoise, classes: int) -> Floats:
    """Return how rows are labelled that models are surest of, [C, C]: rows by class and label.

    Of these, hardly any model is wrong, so what is wrong is the label.
    """
    guess = np.where(features.classes < classes, _guess(features, model), 0.0)
    place = guess.argmax(axis=1)[:, None]
    sure = np.take_along_axis(guess, place, axis=1)[:, 0]
    predicted = np.take_along_axis(features.classes, place, axis=1)[:, 0]
    prior = np.zeros((classes, classes))
    for c in range(classes):
        rows = np.flatnonzero(predicted == c)
        surest = rows[np.argsort(-sure[rows], kind="stable")][: -(-len(rows) // _SUREST)]
        counts = np.bincount(labels[surest], minlength=classes)
        prior[c] = counts * min(1.0, _PRIOR_SUREST / max(len(surest), 1))
    return prior


def _log_softmax(features: Features, slopes: Floats, offsets: Floats) -> Floats:
    """Return log q, [N, K + 1]."""
    slopes = np.column_stack([slopes, slopes.mean(axis=1)])
    offsets = np.append(offsets, offsets.mean())
    scaled = (slopes[:, features.classes] * features.logs).sum(axis=0)
    logits = scaled + offsets[features.classes] + features.log_counts
    logs: Floats = logits - logsumexp(logits, axis=1, keepdims=True)
    return logs


def _guess(features: Features, model: LabelNoise) -> Floats:
    """Return q, [N, K + 1]."""
    guess: Floats = np.exp(_log_softmax(features, model.slopes, model.offsets))
    return guess


def _share(features: Features, labels: Ints, model: LabelNoise) -> Floats:
    """Return P(true class | x, label), [N, K + 1]."""
    joint = _guess(features, model) * model.channel[features.classes, labels[:, None]]
    share: Floats = joint / joint.sum(axis=1, keepdims=True)
    return share


def _channel(features: Features, labels: Ints, share: Floats, prior: Floats) -> Floats:
    """Return T [C + 1, C], smoothed: few wrong labels of a class say little of where they go."""
    classes = len(prior)
    cell = features.classes * classes + labels[:, None]
    shape = (classes + 1, classes)
    shared = np.bincount(cell.ravel(), share.ravel(), shape[0] * shape[1]).reshape(shape)
    counts: Floats = shared[:-1] + prior
    wrong = counts * (1 - np.eye(classes))
    of_class = wrong.sum(axis=1)
    overall = max(of_class.sum() / counts.sum(), _NEVER)
    rate = (of_class + _PRIOR_ROWS * overall) / (counts.sum(axis=1) + _PRIOR_ROWS)
    evenly = (1 - np.eye(classes)) / (classes - 1)
    where_to = (wrong + _PRIOR_WRONG * evenly) / (of_class + _PRIOR_WRONG)[:, None]
    rest = np.full((1, classes), overall / classes)
    return np.concatenate([where_to * rate[:, None] + np.diag(1 - rate), rest])


def _calibrated(features: Features, share: Floats, model: LabelNoise) -> tuple[Floats, Floats]:
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
    features: Features, share: Floats, shape: tuple[int, int]
) -> Callable[[Floats], tuple[float, Floats]]:
    """Return the loss of s and b: cross-entropy of the shares, a penalty; and its gradient."""
    present, (views, classes), rows = features.present, shape, len(share)
    column = features.classes.ravel()

    def of_each(values: Floats) -> Floats:
        """Add values [N, K + 1] up by class, those of the rest spread over all."""
        sums = np.bincount(column, values.ravel(), classes + 1)
        spread: Floats = sums[:-1] + sums[-1] / classes
        return spread

    def loss(point: Floats) -> tuple[float, Floats]:
        slopes, offsets = point[:-classes].reshape(shape), point[-classes:]
        logs = np.where(present, _log_softmax(features, slopes, offsets), 0.0)
        error = np.where(present, np.exp(logs) - share, 0.0)
        apart = slopes - slopes.mean(axis=1, keepdims=True)
        entropy = -(share * logs).sum() + _PENALTY * (apart**2).sum() / 2
        of_slopes = [of_each(error * features.logs[view]) for view in range(views)]
        gradient = np.concatenate([(of_slopes + _PENALTY * apart).ravel(), of_each(error)])
        return entropy / rows, gradient / rows

    return loss
