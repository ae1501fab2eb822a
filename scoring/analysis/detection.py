"""Out-of-distribution detection: how well does a score separate one kind of example from another?

Agarwal, D'souza & Hooker, "Estimating Example Difficulty using Variance of Gradients", CVPR 2022,
arXiv:2008.11600, section 4.3 and Table 1: AUROC, and AUPR with either kind as the positives, for
each corruption of MNIST-C. That high = out of distribution is fixed beforehand. The paper's section
4.3 flips the sign of the scores for one of the two AUPR. Here both use the same order of examples:
for AUPR-in the clean examples are the positives and low scores come first.
"""

from collections.abc import Mapping

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from scoring.arrays import Floats
from scoring.tables.findings import Finding

DEFAULT_METRICS = ("vog_predicted", "vog_logp_predicted", "msp")
"""Metrics that need no label, which a new image does not have: both such forms of VoG, the method
of Table 1, and the baseline of Hendrycks & Gimpel (ICLR 2017, arXiv:1610.02136)."""
MEAN = "mean"
MEASURES = ("auroc", "aupr_out", "aupr_in")


def findings(detector: str, clean: Floats, others: Mapping[str, Floats]) -> list[Finding]:
    """Report how well a score separates clean examples from other kinds.

    Args:
        detector: its name.
        clean: [N] scores of in-distribution examples, high = out of distribution; NaN where a score
            is missing.
        others: kind of example to its scores, [M] each.

    Returns:
        `auroc`, `aupr_out` and `aupr_in` in [0, 1] for each kind and, as part "mean", their means
        over kinds with the standard deviation.
    """
    measured = {kind: _measures(clean, scores) for kind, scores in others.items()}
    found = [
        Finding(subject=detector, part=kind, measure=measure, value=value, rows=len(others[kind]))
        for kind, values in measured.items()
        for measure, value in values.items()
    ]
    for measure in MEASURES:
        values = np.array([of_kind[measure] for of_kind in measured.values()])
        found.append(
            Finding(
                subject=detector,
                part=MEAN,
                measure=measure,
                value=float(values.mean()),
                spread=float(values.std()),
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
