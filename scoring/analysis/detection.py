"""Telling one kind of example from another by a score: out-of-distribution detection.

Agarwal, D'souza & Hooker, "Estimating Example Difficulty using Variance of Gradients", CVPR 2022,
arXiv:2008.11600, section 4.3 and Table 1: AUROC, and AUPR with either kind as the positives, for
each corruption of MNIST-C. High = out of distribution is fixed beforehand. The paper's section 4.3
turns the sign of scores for one of the two AUPR; here the same order of examples serves both: in
AUPR-in the clean ones are positives and low scores come first.
"""

from collections.abc import Mapping

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from scoring.arrays import Floats
from scoring.tables.findings import Finding

MEAN = "mean"


def findings(detector: str, clean: Floats, others: Mapping[str, Floats]) -> list[Finding]:
    """How well a score tells clean examples from others.

    Args:
        detector: its name.
        clean: [N] scores in distribution, high = out of it; NaN where there is none.
        others: name of a kind of example to its scores, [M] each.

    Returns:
        `auroc`, `aupr_out` and `aupr_in` in [0, 1] for each kind and, as part "mean", over all,
        with their standard deviation.
    """
    found = [
        Finding(subject=detector, part=part, measure=measure, value=value, rows=len(scores))
        for part, scores in others.items()
        for measure, value in _measures(clean, scores).items()
    ]
    for measure in ("auroc", "aupr_out", "aupr_in"):
        values = np.array([f.value for f in found if f.measure == measure and f.part in others])
        mean, spread = float(values.mean()), float(values.std())
        found.append(
            Finding(
                subject=detector,
                part=MEAN,
                measure=measure,
                value=mean,
                spread=spread,
                rows=len(values),
            )
        )
    return found


def _measures(clean: Floats, others: Floats) -> dict[str, float]:
    clean, others = clean[~np.isnan(clean)], others[~np.isnan(others)]
    score = np.concatenate([clean, others])
    out = np.repeat([0, 1], [len(clean), len(others)])
    return {
        "auroc": float(roc_auc_score(out, score)),
        "aupr_out": float(average_precision_score(out, score)),
        "aupr_in": float(average_precision_score(1 - out, -score)),
    }
