"""Does a metric rank examples within classes, or the classes themselves?

Carlini et al. 2019, arXiv:1910.13427: appendix G (the share of each class along the ranking) and
section 3 (both ends should hold examples of every class: a metric that ranks one class as a whole
above another says something about classes, not about examples).
"""

from collections.abc import Sequence

import numpy as np

from scoring.analysis.score_table import Scores
from scoring.analysis.statistics import TENTHS, tenths
from scoring.arrays import Floats, Ints
from scoring.tables.findings import Finding

_BINS = 1000  # percentile bins; examples in the same bin count as tied


def findings(metric: str, scores: Scores, classes: Sequence[str]) -> list[Finding]:
    """Report how the classes spread over a metric's ranking.

    Args:
        metric: its name.
        scores: its partition; rows without rank or label are ignored.
        classes: class names in the order of labels.

    Returns:
        For each nonempty tenth, "1" the most outlying: `share of <class>` in [0, 1] for each class;
        `coverage`, the share of the classes with an example there; `largest_share` of any class. As
        part "all", `separation`: over all pairs of classes, the largest chance that an example of
        one ranks above an example of the other; 0.5 if no class ranks higher, 1 if one ranks
        entirely above another.
    """
    known = (scores.rank >= 0) & (scores.label >= 0)
    label = scores.label[known]
    counts = _counts(tenths(scores.rank)[known], label, TENTHS, len(classes))
    present = int((counts.sum(axis=0) > 0).sum())
    found = []
    for tenth, in_tenth in enumerate(counts, start=1):
        rows = int(in_tenth.sum())
        if not rows:
            continue
        shares = dict(zip([f"share of {name}" for name in classes], in_tenth / rows, strict=True))
        shares["coverage"] = (in_tenth > 0).sum() / present
        shares["largest_share"] = in_tenth.max() / rows
        found += [_finding(metric, str(tenth), name, v, rows) for name, v in shares.items()]
    above = chances_above(scores.percentile[known], label, len(classes))
    largest = float(np.nanmax(above)) if present > 1 else float("nan")
    return [*found, _finding(metric, "all", "separation", largest, present)]


def chances_above(percentile: Floats, label: Ints, classes: int) -> Floats:
    """Return how often an example of one class ranks above an example of another.

    Args:
        percentile: [N] in [0, 100].
        label: [N] class index.
        classes: C.

    Returns:
        [C, C] in [0, 1], accurate to a thousandth: row i, column j is the chance that an example of
        class i ranks above one of class j, ties counting half; NaN on the diagonal and for classes
        without examples.
    """
    place = np.minimum(percentile / 100 * _BINS, _BINS - 1).astype(np.int64)
    counts = _counts(place, label, _BINS, classes)
    below = counts.cumsum(axis=0) - counts / 2
    sizes = counts.sum(axis=0)
    pairs = np.outer(sizes, sizes)
    chances = np.full(pairs.shape, np.nan)
    np.divide(counts.T @ below, pairs, out=chances, where=pairs > 0)
    np.fill_diagonal(chances, np.nan)
    return chances


def _counts(place: Ints, label: Ints, places: int, classes: int) -> Floats:
    """Count the examples of each class at each place, [places, classes]."""
    flat = np.bincount(place * classes + label, minlength=places * classes)
    return flat.reshape(places, classes).astype(np.float64)


def _finding(metric: str, part: str, measure: str, value: float, rows: int) -> Finding:
    return Finding(subject=metric, part=part, measure=measure, value=float(value), rows=rows)
