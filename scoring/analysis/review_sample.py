"""A sample of labels to check by hand, and what it says about all labels.

The rows are cut into strata by the probability that their label is wrong, and some rows of each
stratum are drawn at random. Half of the checks go where a decision is worth most, to the strata
above the cut; the other half where they tell most about the number of wrong labels (Neyman 1934:
in proportion to the rows of a stratum times the standard deviation expected in it); and no stratum
gets fewer than a few. The whole sample is checked in random order, so that whatever part of it is
done is again a random sample of each stratum.

The number of wrong labels is estimated by the stratified estimator, the sum over strata of rows
times the share found wrong (Cochran 1977, section 5.3). It assumes nothing of the probabilities:
bad ones cost width, not truth. Its interval combines Jeffreys' intervals of the strata (Brown, Cai
& DasGupta 2001, section 4.1.2, with the bounds 0 and 1 where nothing or everything was found wrong)
by the method of variance estimates recovery (Zou, Huang & Zhang 2009): each side of the interval
adds the squares of that side of the strata's intervals, so that a stratum without a wrong label
still widens the upper side, and only that. Cochran's correction for finite populations (section
2.6) narrows it for small strata of which much was checked. In simulations with 200 checks the
interval, nominally of 90 %, holds the truth in 86 to 97 % of the draws; in all of them where every
stratum is pure, since then no draw can miss.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv

from scoring.analysis.verdict import CUT
from scoring.arrays import Bools, Floats, Ints

EDGES = (0.0, 0.05, 0.25, CUT, 0.75, 0.95, 1.0)
"""Bounds of the strata: [0, 0.05), ..., [0.95, 1]."""
STRATA = len(EDGES) - 1
ABOVE = EDGES.index(CUT)
"""The first stratum above the cut."""
LEVEL = 0.9
"""Nominal level of the intervals."""

_FEW = 8  # checks of any stratum that has so many rows
_WORTH = 0.5  # share of the checks that goes where a decision is worth most
_PURE = 0.01  # no stratum is expected to be purer: probabilities may be badly calibrated


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number of rows and its interval."""

    value: float
    low: float
    high: float

    def over(self, rows: float) -> "Estimate":
        """Return it as a share of rows; NaN of none."""
        if not rows:
            return Estimate(value=np.nan, low=np.nan, high=np.nan)
        return Estimate(value=self.value / rows, low=self.low / rows, high=self.high / rows)


def strata(wrong: Floats) -> Ints:
    """Return the stratum [N] of each probability that a label is wrong."""
    return np.digitize(wrong, EDGES[1:-1]).astype(np.int64)


def sizes_and_means(wrong: Floats) -> tuple[Ints, Floats]:
    """Return the rows of each stratum [S] and their mean probability [S]; 0 of no rows."""
    of = strata(wrong)
    sizes = np.bincount(of, minlength=STRATA).astype(np.int64)
    return sizes, np.bincount(of, wrong, minlength=STRATA) / np.maximum(sizes, 1)


def allocate(sizes: Ints, means: Floats, checks: int) -> Ints:
    """Return how many rows of each stratum to check [S]; all rows if there are too few.

    Args:
        sizes: [S] rows of each stratum.
        means: [S] mean probability that a label is wrong.
        checks: how many rows to check in all.
    """
    found = np.minimum(sizes, min(_FEW, checks // max(1, int(np.count_nonzero(sizes)))))
    rate = np.clip(means, _PURE, 1 - _PURE)
    worth = np.where(np.arange(STRATA) >= ABOVE, sizes, 0)
    spread = sizes * np.sqrt(rate * (1 - rate))
    share = _WORTH * worth / max(1, worth.sum()) + (1 - _WORTH) * spread / max(1.0, spread.sum())
    for _ in range(min(checks, int(sizes.sum())) - int(found.sum())):
        found[np.argmax(np.where(found < sizes, share / (found + 1), -1.0))] += 1
    return found


def draw(wrong: Floats, checks: int, random: np.random.Generator) -> Ints:
    """Draw the rows to check, in the random order in which to check them.

    Args:
        wrong: [N] probabilities that a label is wrong.
        checks: how many rows to check; all, if there are fewer.
        random: where the draw comes from.
    """
    of = strata(wrong)
    counts = allocate(*sizes_and_means(wrong), checks)
    rows = [
        random.choice(np.flatnonzero(of == stratum), count, replace=False)
        for stratum, count in enumerate(counts)
    ]
    return random.permutation(np.concatenate(rows))


def estimate(sizes: Ints, means: Floats, checked: Ints, wrong: Floats) -> Estimate:
    """Estimate how many rows of some strata have a wrong label.

    A stratum in which nothing was checked counts with its mean probability, and may hold any
    number.

    Args:
        sizes: [S] rows of each stratum.
        means: [S] mean probability that a label is wrong.
        checked: [S] rows checked.
        wrong: [S] sum over the checked rows of the share of reviewers that found the label wrong.

    Returns:
        The number, with its interval at `LEVEL`; without a width only if all rows were checked.
    """
    rate = np.where(checked > 0, wrong / np.maximum(checked, 1), means)
    low, high = _jeffreys(checked, wrong)
    unchecked = np.sqrt(np.maximum(sizes - checked, 0) / np.maximum(sizes - 1, 1))
    value, known = float(np.sum(sizes * rate)), float(wrong.sum())
    most = float(np.sum(sizes - checked)) + known
    below = _together(sizes * (rate - low) * unchecked, checked)
    above = _together(sizes * (high - rate) * unchecked, checked)
    return Estimate(value=value, low=max(known, value - below), high=min(most, value + above))


def coverage(wrong: Floats, is_wrong: Bools, checks: int, draws: int) -> tuple[float, float]:
    """Draw samples of rows whose truth is known, and compare their intervals with it.

    Args:
        wrong: [N] probabilities that a label is wrong.
        is_wrong: [N] whether it is.
        checks: rows of a sample.
        draws: samples; the i-th has seed i.

    Returns:
        In what share of the draws the interval of the number of wrong labels holds the truth, and
        the mean width of the intervals, in rows.
    """
    of, (sizes, means) = strata(wrong), sizes_and_means(wrong)
    found = []
    for seed in range(draws):
        rows = draw(wrong, checks, np.random.default_rng(seed))
        checked = np.bincount(of[rows], minlength=STRATA).astype(np.int64)
        bad = np.bincount(of[rows[is_wrong[rows]]], minlength=STRATA).astype(np.float64)
        found.append(estimate(sizes, means, checked, bad))
    truth = np.count_nonzero(is_wrong)
    held = [each.low <= truth <= each.high for each in found]
    return float(np.mean(held)), float(np.mean([each.high - each.low for each in found]))


def _together(sides: Floats, checked: Ints) -> float:
    """Add one side [S] of the strata's intervals; chance evens out only what was checked."""
    return float(np.sqrt(np.sum(sides[checked > 0] ** 2)) + np.sum(sides[checked == 0]))


def _jeffreys(checked: Ints, wrong: Floats) -> tuple[Floats, Floats]:
    """Return the bounds [S] of Jeffreys' interval of each rate; 0 and 1 of what was not checked."""
    tail = (1 - LEVEL) / 2
    right = checked - wrong
    low = np.where(wrong > 0, betaincinv(wrong + 0.5, right + 0.5, tail), 0.0)
    high = np.where(right > 0, betaincinv(wrong + 0.5, right + 0.5, 1 - tail), 1.0)
    return np.where(checked > 0, low, 0.0), np.where(checked > 0, high, 1.0)
