"""How metrics agree: on the order of all examples, and on the ends of every class.

Carlini et al. 2019, arXiv:1910.13427: Figure 1 (correlations of the metrics) and Figure 3, b to d
(Jaccard distances of the examples that each calls least or most prototypical).
"""

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from scoring.analysis.side_by_side import SideBySide
from scoring.analysis.statistics import Standing, pearson, spearman
from scoring.arrays import Bools, Floats, Ints
from scoring.tables.findings import Finding


def findings(told: SideBySide, oriented: Mapping[str, Floats], percent: float) -> list[Finding]:
    """How each pair of metrics agrees; the subject is "one x other".

    Args:
        told: what the metrics say.
        oriented: by metric, its values [N] turned so that high = prototypical.
        percent: of a class that stand at an end, in (0, 50].

    Returns:
        `pearson` of oriented values and `spearman` of percentiles, in [-1, 1], positive where the
        metrics call the same examples prototypical; `jaccard_distance` in [0, 1] of the lowest and
        the highest `percent` of a class, as parts "lowest 25 %" and "highest 25 %": means over
        classes with their deviation, `rows` the number of classes.
    """
    metrics = list(told.percentile)
    values = np.stack([oriented[metric] for metric in metrics])
    has_value = (~np.isnan(values)).astype(np.int64)
    ranked = int((~np.isnan(np.stack([*told.percentile.values()]))).all(axis=0).sum())
    by_value, both = pearson(values), has_value @ has_value.T
    by_rank = spearman([Standing(ids=told.ids, percentile=p) for p in told.percentile.values()])
    ends = _ends(told, percent)
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
            found.append(_over_classes(pair, f"{end} {percent:g} %", distances[:, i, j]))
    return found


def jaccard_distances(chosen: Bools, label: Ints) -> Floats:
    """How much sets have in common, class by class: 1 - |A and B| / |A or B|.

    Args:
        chosen: [M, N] whether each of M sets holds an example.
        label: [N] class index, -1 where unknown: such an example counts in no class.

    Returns:
        [C, M, M] float64 in [0, 1], 0 where two sets hold the same examples of a class; NaN where
        one of them holds none.
    """
    classes = int(label.max(initial=-1)) + 1
    distances = np.full((classes, len(chosen), len(chosen)), np.nan)
    for c in range(classes):
        of_class = chosen[:, label == c].astype(np.int64)
        both = of_class @ of_class.T  # [M, M]
        sizes = of_class.sum(axis=1)
        either = sizes[:, None] + sizes - both
        known = np.outer(sizes, sizes) > 0
        np.divide(either - both, either, out=distances[c], where=known)
    return distances


def _ends(told: SideBySide, percent: float) -> dict[str, Floats]:
    """Jaccard distances [C, M, M] of the two ends of every class."""
    standing = np.stack([*told.class_percentile.values()])  # [M, N], NaN is at no end
    return {
        "lowest": jaccard_distances(standing <= percent, told.label),
        "highest": jaccard_distances(standing >= 100 - percent, told.label),
    }


def _over_classes(pair: str, part: str, distances: Floats) -> Finding:
    known = distances[~np.isnan(distances)]
    return Finding(
        subject=pair,
        part=part,
        measure="jaccard_distance",
        value=float(known.mean()) if len(known) else float("nan"),
        spread=float(known.std()) if len(known) else None,
        rows=len(known),
    )
