"""Correlations between the rankings of several metrics, and the tenths of one ranking."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations_with_replacement

import numpy as np
from scipy.stats import rankdata

from scoring.analysis.score_table import Scores
from scoring.arrays import Floats, Ints

TENTHS = 10
_FEWEST_ROWS = 3


@dataclass(frozen=True, kw_only=True)
class Percentiles:
    """The percentiles of N examples by one metric."""

    ids: Ints
    """[N] ascending."""
    percentile: Floats
    """[N] in [0, 100], low = outlying; NaN where the example is not ranked."""

    def lookup(self, ids: Ints) -> Floats:
        """Return the percentiles [K] of `ids` [K], NaN for examples the metric does not know."""
        at = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
        return np.where(self.ids[at] == ids, self.percentile[at], np.nan)


def percentiles_of(scores: Scores) -> Percentiles:
    """Return the percentiles of a partition, sorted by id."""
    order = np.argsort(scores.ids, kind="stable")
    return Percentiles(ids=scores.ids[order], percentile=scores.percentile[order])


def spearman(rankings: Sequence[Percentiles]) -> Floats:
    """Return Spearman's rank correlation between metrics (Carlini et al. 2019, Figure 1).

    Percentiles are oriented, so metrics that agree on what is prototypical correlate positively.

    Args:
        rankings: M metrics; only examples that all of them rank are compared.

    Returns:
        [M, M] in [-1, 1]; NaN for a metric that gives every example the same rank, and everywhere
        if fewer than three examples are compared.
    """
    ids = reduce(np.intersect1d, (ranking.ids for ranking in rankings))
    percentiles = np.stack([ranking.lookup(ids) for ranking in rankings])  # [M, N]
    percentiles = percentiles[:, ~np.isnan(percentiles).any(axis=0)]
    if percentiles.shape[1] < _FEWEST_ROWS:
        return np.full((len(rankings), len(rankings)), np.nan)
    return _correlations(rankdata(percentiles, axis=1))


def pearson(values: Floats) -> Floats:
    """Return Pearson's correlation between metrics, pair by pair (Carlini et al. 2019, Figure 1).

    Each pair is compared on the examples for which both metrics have a value: an example that no
    private model reliably gets right has no epsilon, but still counts for the other pairs.

    Args:
        values: [M, N] oriented so that high = prototypical, NaN where a metric has no value.

    Returns:
        [M, M] in [-1, 1]; NaN for a metric with zero spread, and for pairs with fewer than three
        examples in common.
    """
    found = np.full((len(values), len(values)), np.nan)
    for i, j in combinations_with_replacement(range(len(values)), 2):
        pair = values[[i, j]]
        pair = pair[:, ~np.isnan(pair).any(axis=0)]
        if pair.shape[1] >= _FEWEST_ROWS:
            found[i, j] = found[j, i] = _correlations(pair)[0, 1]
    return found


def tenths(rank: Ints) -> Ints:
    """Return the tenth of the ranking [N] each rank [N] falls in: 0 most outlying, -1 no rank."""
    tenth: Ints = rank * TENTHS // (rank.max(initial=0) + 1)
    return np.maximum(tenth, -1)


def _correlations(rows: Floats) -> Floats:
    """Return Pearson's correlations [M, M] of rows [M, N]; NaN for a row with zero spread."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    norms = np.sqrt((centred**2).sum(axis=1))
    # The mean of equal numbers may be off in the last bit, which must not count as spread.
    norms[np.ptp(rows, axis=1) == 0] = 0
    scale = np.outer(norms, norms)
    correlations = np.full(scale.shape, np.nan)
    np.divide(centred @ centred.T, scale, out=correlations, where=scale > 0)
    return correlations
