"""Whether the scores of one shard differ from those of comparable rows, class by class.

Both questions are asked within classes, so that a shard may hold any mixture of them.

- Do more of its rows than chance allows rank below the lowest hundredth of the others of their
  class? `lift` is their number as a multiple of the number to expect. Wrong labels and broken
  images raise it.
- Do its rows rank lower, or higher, as a whole? `shift` is the mean percentile of its rows among
  the others of their class, less 50. Another camera moves it down, copies of old images up.

Each comes with its chance `p` if the shard is a random part of all rows compared:

    lowest   of M rows and N others, X rank below the R-th lowest other, R = N / 100, at least 1.
             X is beta-binomial (M, R, N - R + 1), the exact law of Wilks' exceedances (1942), and
             classes are independent, so their laws are convolved. A row that ties does not count.
    shift    Wilcoxon's statistic, with ties and classes as strata (van Elteren 1960), normal.

With enough rows the smallest difference is significant, so whoever judges a shard also wants the
difference itself to be large. Cost: a sort.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import betabinom, norm, rankdata

from scoring.analysis.score_table import Scores
from scoring.arrays import Bools, Floats, Ints

FEWEST_ROWS = 20
"""A shard with fewer rows that count is not judged."""


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """N rows with a place among those of their class."""

    label: Ints
    """[N] class index, -1 where unknown; such rows are a class of their own."""
    key: Floats
    """[N] higher for more prototypical rows, infinite at the ends; NaN rows do not count."""


@dataclass(frozen=True, kw_only=True)
class Drift:
    """How the rows of a shard differ from others."""

    rows: int
    """Rows of the shard that count: ranked, of a class that others have too."""
    others: int
    """Rows that they are compared with."""
    lowest: int
    """Of `rows`, those that rank below the lowest hundredth of the others of their class."""
    lift: float
    """`lowest` as a multiple of the number to expect."""
    lift_p: float
    """Chance of so many or more."""
    shift: float
    """Mean percentile among the others of their class, less 50; low = outlying."""
    shift_p: float
    """Chance of so large a shift, either way."""


def typicality(scores: Scores) -> Floats:
    """Return `value` [N] with the sign that makes high prototypical; NaN where a row has no rank.

    Rows that are ranked for their status, without a value, are infinite. Values and class
    percentiles rise together or against each other in every class, and so their covariance tells
    the sign.
    """
    value, place = scores.numbers("value"), scores.numbers("class_percentile")
    covariance = 0.0
    for rows in _members(scores.label, ~np.isnan(value) & ~np.isnan(place)).values():
        covariance += float(value[rows] @ (place[rows] - place[rows].mean()))
    key: Floats = value if covariance >= 0 else -value
    end = np.where(scores.percentile < 50, -np.inf, np.inf)
    return np.where(scores.rank < 0, np.nan, np.where(np.isnan(value), end, key))


def drift(shard: Ranked, others: Ranked) -> Drift | None:
    """Compare the rows of a shard with others; None if fewer than `FEWEST_ROWS` of them count."""
    classes = [_Class.of(mine, theirs) for mine, theirs in _by_class(shard, others)]
    rows = sum(of_class.mine for of_class in classes)
    if rows < FEWEST_ROWS:
        return None
    lowest = sum(of_class.lowest for of_class in classes)
    shift, shift_p = _shift(classes)
    return Drift(
        rows=rows,
        others=sum(of_class.theirs for of_class in classes),
        lowest=lowest,
        lift=lowest / sum(of_class.expected for of_class in classes),
        lift_p=_chance_of_lowest(classes, lowest),
        shift=shift,
        shift_p=shift_p,
    )


@dataclass(frozen=True, kw_only=True)
class _Class:
    mine: int
    theirs: int
    bound: int
    """The place of the other row that bounds their lowest hundredth, counted from 1."""
    lowest: int
    shift: float
    variance: float
    """Of `shift`, if there is no difference."""

    @classmethod
    def of(cls, mine: Floats, theirs: Floats) -> "_Class":
        m, n = len(mine), len(theirs)
        bound = max(1, n // 100)
        ranks = rankdata(np.concatenate([mine, theirs]))
        _, ties = np.unique(ranks, return_counts=True)
        tied = float((ties**3.0 - ties).sum()) / ((m + n) * (m + n - 1))
        return cls(
            mine=m,
            theirs=n,
            bound=bound,
            lowest=int((mine < np.partition(theirs, bound - 1)[bound - 1]).sum()),
            shift=100 * float((ranks[:m].mean() - (m + 1) / 2) / n - 0.5),
            variance=100**2 * (m + n + 1 - tied) / (12 * m * n),
        )

    @property
    def expected(self) -> float:
        return self.mine * self.bound / (self.theirs + 1)


def _by_class(shard: Ranked, others: Ranked) -> Iterator[tuple[Floats, Floats]]:
    """Yield the keys of both, for each class that both have."""
    mine = _members(shard.label, ~np.isnan(shard.key))
    theirs = _members(others.label, ~np.isnan(others.key))
    for label in sorted(mine.keys() & theirs.keys()):
        yield shard.key[mine[label]], others.key[theirs[label]]


def _members(label: Ints, counted: Bools) -> dict[int, Ints]:
    """Return the rows of each class that count."""
    rows = np.flatnonzero(counted)
    rows = rows[np.argsort(label[rows], kind="stable")]
    classes, starts = np.unique(label[rows], return_index=True)
    return dict(zip(classes.tolist(), np.split(rows, starts[1:]), strict=False))


def _chance_of_lowest(classes: Sequence[_Class], lowest: int) -> float:
    chances = np.ones(1)
    for c in classes:
        law = betabinom(c.mine, c.bound, c.theirs - c.bound + 1)
        chances = np.convolve(chances, law.pmf(np.arange(c.mine + 1)))
    return float(min(1.0, chances[lowest:].sum()))


def _shift(classes: Sequence[_Class]) -> tuple[float, float]:
    weight = np.array([c.mine for c in classes]) / sum(c.mine for c in classes)
    shift = float(weight @ [c.shift for c in classes])
    deviation = float(np.sqrt(weight**2 @ [c.variance for c in classes]))
    # Without a spread all rows are equal, and there is nothing to be seen.
    return shift, float(2 * norm.sf(abs(shift) / deviation)) if deviation > 0 else 1.0
