"""The verdict on a split: how many labels are wrong, which ones, and of what kind each is.

The model of `scoring.analysis.label_noise` is fitted to a sample of the rows, then judges all of
them, a shard at a time.

    wrong label       another class is at least as likely as not
    ambiguous         both the label and another class are likely
    out of place      the label is unlikely, but so is every other class
    rare but right    the label fits, yet models that did not see the example do not expect it

The count of wrong labels is the sum of their probabilities. Its 90 % interval allows for chance:
for other samples of rows, by the bootstrap, and for what the probabilities leave open. It also
allows for models that believe nothing of the noise they were taught, or all of it. It assumes what
the model assumes: that labels go wrong by class, independently of each other, and that models that
did not see a row are as sure of it as they deserve. A sample checked by people needs neither.
"""

from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from scoring.analysis.guesses import Guesses
from scoring.analysis.label_noise import Judged, LabelNoise, fit
from scoring.analysis.unmixing import HALF
from scoring.arrays import Floats, Strings
from scoring.tables.findings import Finding

EVALUATION = "issues"
"""The evaluation under which estimates are published."""
SUBJECT = "wrong labels"
CUT = 0.5
"""A label that is wrong with this probability, or a larger one, counts as wrong."""
LOOKED_AT = 0.25
"""A label that is wrong with this probability, or a larger one, is worth a look."""
KINDS = ("wrong label", "ambiguous", "rare but right", "out of place")
EVIDENCE = ("fleet_aum", "memorisation")
"""Metrics whose values stand beside each issue, where they are computed."""
VERSION = 2
"""Raised whenever verdicts change."""
_RARE = 0.25  # out-of-bag probability of the label, at most, of what is rare but right
_KNOWN_BY_HEART = 0.5  # memorisation, at least, of what is rare but right
_SAMPLE = 10_000
_RESAMPLES = 10
_DEVIATIONS = 1.645  # on either side of the mean, for 90 % of a normal distribution
_NONE_SEEN = 2.3  # a Poisson variable with this mean is 0 in 10 % of cases


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """How many labels of a split are wrong."""

    rows: int
    """Labels judged."""
    wrong: float
    """How many of them are wrong."""
    low: float
    """Ends of the 90 % interval of `wrong`."""
    high: float
    suspects: int
    """Labels at or above `CUT`."""
    precision: float
    """Share of the suspects that are wrong; NaN if there are none."""


def findings(split: str, estimate: Estimate) -> list[Finding]:
    """Return an estimate as rows of `evaluations`."""
    return [
        Finding(subject=SUBJECT, part=split, measure=name, value=value, rows=estimate.rows)
        for name, value in asdict(estimate).items()
        if name != "rows"
    ]


def read_estimates(evaluations: pa.Table) -> dict[str, Estimate]:
    """Return, by split, the estimates that `findings` became, from rows of `evaluations`."""
    found: dict[str, dict[str, float]] = {}
    for row in evaluations.to_pylist():
        value = float("nan") if row["value"] is None else row["value"]
        found.setdefault(row["part"], {"rows": row["rows"]})[row["measure"]] = value
    return {
        split: Estimate(
            rows=int(values["rows"]),
            wrong=values["wrong"],
            low=values["low"],
            high=values["high"],
            suspects=int(values["suspects"]),
            precision=values["precision"],
        )
        for split, values in found.items()
    }


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A model of the labels of a split, and models of samples of its rows."""

    model: LabelNoise
    shares: Floats
    """[B] share of wrong labels in each bootstrap sample."""
    of_beliefs: tuple[float, float, float]
    """Share of wrong labels if models believe none, half or all of the noise."""


def sample_step(rows: int) -> int:
    """Return k, if every k-th row is enough to fit a model to."""
    return -(-rows // _SAMPLE) or 1


def fit_noise(guesses: Guesses, classes: int, seed: int = 0) -> Fitted:
    """Fit a model to labels, and to bootstrap samples of them.

    Args:
        guesses: of N > 0 examples.
        classes: how many there are, at least 2.
        seed: of the bootstrap.
    """
    noise, rows, shares = np.random.default_rng(seed), len(guesses.labels), []
    with threadpool_limits(1):  # its matrices are so small that threads only wait for each other
        model, *others = (fit(guesses, classes, belief=belief) for belief in (HALF, 0.0, 1.0))
        half, none, everything = (m.judge(guesses).wrong.mean() for m in (model, *others))
        for _ in range(_RESAMPLES):
            sample = guesses.take(noise.integers(0, rows, rows))
            shares.append(fit(sample, classes, model).judge(sample).wrong.mean())
    of_beliefs = float(none), float(half), float(everything)
    return Fitted(model=model, shares=np.array(shares), of_beliefs=of_beliefs)


def estimate(fitted: Fitted, wrong: Floats, fitted_rows: int) -> Estimate:
    """Estimate how many labels are wrong.

    Args:
        fitted: the model.
        wrong: [N] probabilities that labels are wrong.
        fitted_rows: number of rows that the model was fitted to.
    """
    count, rows = float(wrong.sum()), len(wrong)
    # The bootstrap varies as samples of the fitted rows do; all N rows vary less.
    of_model = float(fitted.shares.std(ddof=1)) * rows * np.sqrt(fitted_rows / rows)
    deviation = float(np.hypot(of_model, np.sqrt((wrong * (1 - wrong)).sum())))
    less, more = (rows * (end(fitted.of_beliefs) - fitted.of_beliefs[1]) for end in (min, max))
    suspects = wrong >= CUT
    return Estimate(
        rows=rows,
        wrong=count,
        low=max(0.0, count + less - _DEVIATIONS * deviation),
        high=min(float(rows), max(_NONE_SEEN, count + more + _DEVIATIONS * deviation)),
        suspects=int(suspects.sum()),
        precision=float(wrong[suspects].mean()) if suspects.any() else float("nan"),
    )


def kinds(judged: Judged, label_probability: Floats, memorisation: Floats) -> Strings:
    """Say what each label's trouble is, "" if it has none.

    Args:
        judged: N labels.
        label_probability: [N] what models that did not see the example make of its label.
        memorisation: [N], NaN where unknown.
    """
    likely = judged.suggested_probability
    rare = (label_probability < _RARE) & (memorisation >= _KNOWN_BY_HEART)
    cases = {
        "ambiguous": np.minimum(1 - judged.wrong, likely) >= LOOKED_AT,
        "wrong label": (judged.wrong >= CUT) & (likely >= CUT),
        "out of place": judged.wrong >= CUT,
        "rare but right": (judged.wrong < LOOKED_AT) & rare,
    }
    kind: Strings = np.select([*cases.values()], [*cases], default="")
    return kind
