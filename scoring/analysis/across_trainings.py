"""How much a score depends on the training that made it: seeds and batch sizes.

Agarwal, D'souza & Hooker, "Estimating Example Difficulty using Variance of Gradients", CVPR 2022,
arXiv:2008.11600, section 3.3 and Figure 6, where the scores of ten seeds are compared example by
example.
"""

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from scoring.analysis.statistics import Standing, spearman
from scoring.tables.findings import Finding


def findings(metric: str, standings: Mapping[str, Standing]) -> list[Finding]:
    """How trainings agree on a metric.

    Args:
        metric: its name.
        standings: name of a training to where it puts each example; at least two.

    Returns:
        `spearman` in [-1, 1] of each pair and, as part "all", their mean with its deviation over
        pairs; `instance_sd` of part "all": the mean over examples of the standard deviation over
        trainings of an example's percentile, with its deviation over examples. Rankings that have
        nothing to do with each other give about 29 with many trainings, 20.4 with two.
    """
    names = list(standings)
    matrix = spearman([standings[name] for name in names])
    percentiles = _percentiles(list(standings.values()))
    rows = percentiles.shape[1]
    pairs = {(i, j): float(matrix[i, j]) for i, j in combinations(range(len(names)), 2)}
    found = [
        Finding(
            subject=metric,
            part=f"{names[i]} x {names[j]}",
            measure="spearman",
            value=value,
            rows=rows,
        )
        for (i, j), value in pairs.items()
    ]
    deviations = percentiles.std(axis=0)
    means = {"spearman": np.array(list(pairs.values())), "instance_sd": deviations}
    for measure, values in means.items():
        found.append(
            Finding(
                subject=metric,
                part="all",
                measure=measure,
                value=float(values.mean()) if len(values) else float("nan"),
                spread=float(values.std()) if len(values) else None,
                rows=rows,
            )
        )
    return found


def _percentiles(standings: list[Standing]) -> np.ndarray:
    """[M, N]: of the examples that every training ranks."""
    ids = standings[0].ids
    percentiles = np.stack([standing.of(ids) for standing in standings])
    return percentiles[:, ~np.isnan(percentiles).any(axis=0)]
