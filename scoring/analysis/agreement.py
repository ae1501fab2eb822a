"""How well metrics agree: on the order of all examples, and on the two ends of each class.

Carlini et al. 2019, arXiv:1910.13427: Figure 1 (correlations of the metrics) and Figure 3, b to d
(Jaccard distances between the examples that each calls least or most prototypical).
"""

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from scoring.analysis.joined_scores import JoinedScores
from scoring.analysis.seeds import mean_finding
from scoring.analysis.statistics import Percentiles, pearson, spearman
from scoring.arrays import Bools, Floats, Ints
from scoring.tables.findings import Finding


def findings(scores: JoinedScores, oriented: Mapping[str, Floats], percent: float) -> list[Finding]:
    """Report how well each pair of metrics agrees, with subject "one x other".

    Args:
        scores: percentiles of the metrics.
        oriented: metric to its values [N], oriented so that high = prototypical.
        percent: the share of a class that counts as one of its ends, in (0, 50].

    Returns:
        `pearson` of the oriented values and `spearman` of the percentiles, in [-1, 1], positive
        where the metrics call the same examples prototypical; and `jaccard_distance` in [0, 1]
        between the lowest and the highest `percent` of a class, as parts such as "lowest 25 %" and
        "highest 25 %": the mean over classes with its standard deviation, `rows` the number of
        classes.
    """
    metrics = list(scores.percentile)
    values = np.stack([oriented[metric] for metric in metrics])
    has_value = (~np.isnan(values)).astype(np.int64)
    percentiles = [*scores.percentile.values()]
    ranked = int((~np.isnan(np.stack(percentiles))).all(axis=0).sum())
    by_value, both = pearson(values), has_value @ has_value.T
    by_rank = spearman([Percentiles(ids=scores.ids, percentile=p) for p in percentiles])
    ends = _distances_of_ends(scores, percent)
    found = []
    for i, j in combinations(range(len(metrics)), 2):
        pair = f"{metrics[i]} x {metrics[j]}"
        for measure, value, rows in (
            ("pearson", by_value[i, j], int(both[i, j])),
            ("spearman", by_rank[i, j], ranked),
        ):
            found.append(
                Finding(subject=pair, part="", measure=measure, value=float(value), rows=rows)
            )
        for end, distances in ends.items():
            part = f"{end} {percent:g} %"
            found.append(mean_finding(pair, part, "jaccard_distance", distances[:, i, j]))
    return found


def jaccard_distances(members: Bools, label: Ints) -> Floats:
    """Return the Jaccard distance between sets, class by class: 1 - |A and B| / |A or B|.

    Args:
        members: [M, N] whether each of M sets holds each of N examples.
        label: [N] class index, -1 where unknown; such examples are ignored.

    Returns:
        [C, M, M] in [0, 1], 0 where two sets hold the same examples of a class; NaN where either
        set holds none.
    """
    classes = int(label.max(initial=-1)) + 1
    distances = np.full((classes, len(members), len(members)), np.nan)
    for c in range(classes):
        in_class = members[:, label == c].astype(np.int64)
        both = in_class @ in_class.T  # [M, M]
        sizes = in_class.sum(axis=1)
        either = sizes[:, None] + sizes - both
        nonempty = np.outer(sizes, sizes) > 0
        np.divide(either - both, either, out=distances[c], where=nonempty)
    return distances


def _distances_of_ends(scores: JoinedScores, percent: float) -> dict[str, Floats]:
    """Return the Jaccard distances [C, M, M] at the lower and the upper end of each class."""
    percentile = np.stack([*scores.class_percentile.values()])  # [M, N]; NaN is at neither end
    return {
        "lowest": jaccard_distances(percentile <= percent, scores.label),
        "highest": jaccard_distances(percentile >= 100 - percent, scores.label),
    }
