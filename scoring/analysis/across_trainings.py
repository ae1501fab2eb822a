"""How much a score depends on the training behind it: its seed, net and batch size.

Agarwal, D'souza & Hooker, "Estimating Example Difficulty using Variance of Gradients", CVPR 2022,
arXiv:2008.11600, section 3.3 and Figure 6, compare the scores of ten seeds example by example.
"""

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from scoring.analysis.statistics import Percentiles, spearman
from scoring.arrays import Floats
from scoring.tables.findings import Finding

DEFAULT_METRICS = ("vog", "vog_predicted", "vog_logp", "vog_logp_predicted")
"""VoG, the metric of section 3.3, in its four forms: of the logit or the log-probability, of the
label or the predicted class. All four are scored in one pass over the same checkpoints."""


def findings(metric: str, rankings: Mapping[str, Percentiles]) -> list[Finding]:
    """Report how well trainings agree on a metric.

    Args:
        metric: its name.
        rankings: name of a training to the percentiles it leads to; at least two.

    Returns:
        `spearman` in [-1, 1] of each pair and, as part "all", its mean over pairs with the standard
        deviation; `instance_sd` as part "all": the standard deviation of an example's percentile
        over trainings, averaged over examples, with its standard deviation over examples. Unrelated
        rankings give an `instance_sd` of about 29 for many trainings and 20.4 for two.
    """
    names = list(rankings)
    matrix = spearman([rankings[name] for name in names])
    percentiles = _common_percentiles(list(rankings.values()))
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


def _common_percentiles(rankings: list[Percentiles]) -> Floats:
    """Return the percentiles [M, N] of the examples that every training ranks."""
    ids = rankings[0].ids
    percentiles = np.stack([ranking.lookup(ids) for ranking in rankings])
    return percentiles[:, ~np.isnan(percentiles).any(axis=0)]
