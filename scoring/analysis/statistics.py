"""What the rankings of several metrics say together: correlations and errors by decile."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations_with_replacement

import numpy as np
from scipy.stats import rankdata

from scoring.analysis.scores import Scores
from scoring.arrays import Floats, Ints

DECILES = 10
_FEWEST_ROWS = 3


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where N examples stand by one metric."""

    ids: Ints
    """[N] int64, ascending."""
    percentile: Floats
    """[N] float64 in [0, 100], low = outlying; NaN where the example is not ranked."""

    def of(self, ids: Ints) -> Floats:
        """[K] percentiles of `ids` [K]; NaN for those that the metric does not know."""
        at = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
        return np.where(self.ids[at] == ids, self.percentile[at], np.nan)


def standing(scores: Scores) -> Standing:
    """Percentiles of a partition, in order of id."""
    order = np.argsort(scores.ids, kind="stable")
    return Standing(ids=scores.ids[order], percentile=scores.percentile[order])


def spearman(standings: Sequence[Standing]) -> Floats:
    """Spearman's rank correlation between metrics (Carlini et al. 2019, Figure 1).

    Percentiles are oriented, so metrics that agree on what is prototypical correlate positively.

    Args:
        standings: M metrics; examples that all of them rank are compared.

    Returns:
        [M, M] float64 in [-1, 1]; NaN beside a metric that ranks all examples alike, or where fewer
        than three examples are compared.
    """
    ids = reduce(np.intersect1d, (s.ids for s in standings))
    percentiles = np.stack([s.of(ids) for s in standings])  # [M, N]
    percentiles = percentiles[:, ~np.isnan(percentiles).any(axis=0)]
    if percentiles.shape[1] < _FEWEST_ROWS:
        return np.full((len(standings), len(standings)), np.nan)
    return _correlations(rankdata(percentiles, axis=1))


def pearson(values: Floats) -> Floats:
    """Pearson's correlation between metrics, pair by pair (Carlini et al. 2019, Figure 1).

    Args:
        values: [M, N] turned so that high = prototypical, NaN where a metric has no value. Those
            examples are compared that both of a pair have a value of: an example that no private
            model is reliably right about has no epsilon, yet says something of other pairs.

    Returns:
        [M, M] float64 in [-1, 1]; NaN beside a metric without spread, or where fewer than three
        examples are compared.
    """
    found = np.full((len(values), len(values)), np.nan)
    for i, j in combinations_with_replacement(range(len(values)), 2):
        pair = values[[i, j]]
        pair = pair[:, ~np.isnan(pair).any(axis=0)]
        if pair.shape[1] >= _FEWEST_ROWS:
            found[i, j] = found[j, i] = _correlations(pair)[0, 1]
    return found


def _correlations(rows: Floats) -> Floats:
    """[M, M] Pearson's correlations of rows [M, N]; NaN beside one without spread."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    norms = np.sqrt((centred**2).sum(axis=1))
    # The mean of equal numbers may differ from them in the last bit: that is no spread.
    norms[np.ptp(rows, axis=1) == 0] = 0
    scale = np.outer(norms, norms)
    correlations = np.full(scale.shape, np.nan)
    np.divide(centred @ centred.T, scale, out=correlations, where=scale > 0)
    return correlations


@dataclass(frozen=True, kw_only=True)
class Errors:
    """How often the classifier is wrong, by tenths of a metric's ranking."""

    rows: tuple[int, ...]
    """Examples in each tenth, the most outlying tenth first."""
    wrong: tuple[int, ...]
    """Those of them whose predicted class is not their label."""

    @property
    def rates(self) -> tuple[float | None, ...]:
        """Share of wrong predictions in each tenth, None where it is empty."""
        return tuple(w / n if n else None for w, n in zip(self.wrong, self.rows, strict=True))

    @property
    def rate(self) -> float:
        """Share of wrong predictions over all tenths."""
        return sum(self.wrong) / sum(self.rows)

    @property
    def upper_half(self) -> float | None:
        """Share of wrong predictions in the more prototypical half."""
        rows = sum(self.rows[DECILES // 2 :])
        return sum(self.wrong[DECILES // 2 :]) / rows if rows else None


def tenths(rank: Ints) -> Ints:
    """[N] the tenth of the ranking that each rank [N] is in, 0 the most outlying; -1: no rank."""
    tenth: Ints = rank * DECILES // (rank.max(initial=0) + 1)
    return np.maximum(tenth, -1)


def errors_by_decile(scores: Scores) -> Errors | None:
    """Errors by tenths of `rank`, which splits ties; None where no row has label and prediction."""
    known = (scores.rank >= 0) & (scores.label >= 0) & (scores.predicted >= 0)
    if not known.any():
        return None
    decile = tenths(scores.rank)[known]
    wrong = (scores.label != scores.predicted)[known]
    return Errors(
        rows=tuple(np.bincount(decile, minlength=DECILES).tolist()),
        wrong=tuple(np.bincount(decile[wrong], minlength=DECILES).tolist()),
    )
