"""Labels changed on purpose: does a metric find them, before and after the net has learnt them?

Agarwal, D'souza & Hooker, "Estimating Example Difficulty using Variance of Gradients", CVPR 2022,
arXiv:2008.11600, section 4.2: a share of the labels is shuffled, the net is trained until it has
memorised them all, and the scores of shuffled and clean examples are compared by Welch's t-test.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import ttest_ind
from sklearn.metrics import average_precision_score, roc_auc_score

from scoring.arrays import Bools, Floats
from scoring.tables.findings import Finding


@dataclass(frozen=True, kw_only=True)
class ScoredRows:
    """A metric's scores of N rows, and which of their labels were changed."""

    value: Floats
    """[N] in the metric's unit, NaN where there is none."""
    percentile: Floats
    """[N] in [0, 100], low = outlying; NaN where the row is not ranked."""
    changed: Bools
    """[N]."""


def findings(metric: str, stage: str, rows: ScoredRows, lowest: float) -> list[Finding]:
    """Report how well a metric finds the changed labels.

    Args:
        metric: its name.
        stage: the stage of training, which becomes the part.
        rows: the scores and the answer.
        lowest: share of the ranked rows, most outlying first, for `precision` and `recall`.

    Returns:
        `auroc` and `average_precision` of the percentile, low = changed, in [0, 1] (by chance: 0.5
        and the share of changed labels); `precision_at_changed`, the precision among as many of the
        most outlying rows as labels were changed; `precision` and `recall` among the lowest;
        `welch_t` and `welch_p` of the values, t > 0 if those of changed labels are larger. All but
        `precision` and `recall` are NaN unless there are both changed and clean rows.
    """
    ranked = ~np.isnan(rows.percentile)
    changed, outlying = rows.changed[ranked], -rows.percentile[ranked]
    both = 0 < changed.sum() < len(changed)
    nan = float("nan")
    order = np.argsort(-outlying, kind="stable")
    inspected = np.zeros(len(changed), dtype=bool)
    inspected[order[: round(lowest * len(changed))]] = True
    t, p = _welch(rows) if both else (nan, nan)
    numbers = {
        "auroc": roc_auc_score(changed, outlying) if both else nan,
        "average_precision": average_precision_score(changed, outlying) if both else nan,
        "precision_at_changed": changed[order[: changed.sum()]].mean() if both else nan,
        "welch_t": t,
        "welch_p": p,
    }
    return [
        Finding(subject=metric, part=stage, measure=name, value=float(number), rows=len(changed))
        for name, number in numbers.items()
    ] + precision_and_recall(metric, stage, inspected, changed)


def findings_of_sets(sets: Mapping[str, Bools], stage: str, changed: Bools) -> list[Finding]:
    """Report how well sets find changed labels.

    Args:
        sets: name to [N] whether a row is in it.
        stage: the stage of training, which becomes the part.
        changed: [N].
    """
    return [
        finding
        for name, members in sets.items()
        for finding in precision_and_recall(name, stage, members, changed)
    ]


def precision_and_recall(subject: str, stage: str, picked: Bools, changed: Bools) -> list[Finding]:
    """Report how many of the picked rows [N] have a changed label [N].

    Returns:
        `precision`, the share of picked rows that were changed, and `recall`, the share of changed
        rows that were picked, in [0, 1]; NaN where the divisor is 0. `rows` counts the picked ones.
    """
    hits = float((picked & changed).sum())
    return [
        Finding(
            subject=subject,
            part=stage,
            measure=measure,
            value=hits / total if total else float("nan"),
            rows=int(picked.sum()),
        )
        for measure, total in (("precision", int(picked.sum())), ("recall", int(changed.sum())))
    ]


def _welch(rows: ScoredRows) -> tuple[float, float]:
    """Compare changed with clean values without assuming equal variances: t and p."""
    known = ~np.isnan(rows.value)
    changed, clean = rows.value[known & rows.changed], rows.value[known & ~rows.changed]
    test = ttest_ind(changed, clean, equal_var=False)
    return float(test.statistic), float(test.pvalue)
