"""Labels changed on purpose: does a metric tell them from the others, before and after learning?

Agarwal, D'souza & Hooker, "Estimating Example Difficulty using Variance of Gradients", CVPR 2022,
arXiv:2008.11600, section 4.2: a share of the labels is shuffled, the net trained until it knows all
by heart, and the scores of shuffled and clean examples compared by Welch's t-test.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import ttest_ind
from sklearn.metrics import average_precision_score, roc_auc_score

from scoring.arrays import Bools, Floats
from scoring.tables.findings import Finding


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What a metric says of N rows, of which we know whose label was changed."""

    value: Floats
    """[N] in the metric's unit, NaN where there is none."""
    percentile: Floats
    """[N] in [0, 100], low = outlying; NaN where the row is not ranked."""
    changed: Bools
    """[N]."""


def findings(metric: str, stage: str, judged: Judged, lowest: float) -> list[Finding]:
    """How well a metric finds the changed labels.

    Args:
        metric: its name.
        stage: when in training: the findings' part.
        judged: what it says.
        lowest: the share of the ranked rows, the most outlying, of which `precision` and `recall`
            are told.

    Returns:
        `auroc` and `average_precision` of the percentile, low = changed, in [0, 1] (chance: 0.5 and
        the share of changed labels); `precision_at_changed`, the share of changed labels among the
        most outlying, as many as there are; `precision` and `recall` of the lowest; `welch_t`
        and `welch_p` of the values, t > 0 where changed ones are larger. NaN where either group is
        empty.
    """
    ranked = ~np.isnan(judged.percentile)
    changed, outlying = judged.changed[ranked], -judged.percentile[ranked]
    both = 0 < changed.sum() < len(changed)
    nan = float("nan")
    order = np.argsort(-outlying, kind="stable")
    inspected = np.zeros(len(changed), dtype=bool)
    inspected[order[: round(lowest * len(changed))]] = True
    t, p = _welch(judged) if both else (nan, nan)
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
    ] + caught(metric, stage, inspected, changed)


def findings_of_sets(sets: Mapping[str, Bools], stage: str, changed: Bools) -> list[Finding]:
    """How many of each set's members [N] have a changed label [N]: `precision` and `recall`."""
    return [f for name, members in sets.items() for f in caught(name, stage, members, changed)]


def caught(subject: str, stage: str, chosen: Bools, changed: Bools) -> list[Finding]:
    """Of chosen rows [N], those whose label was changed [N].

    Returns:
        `precision`, their share of the chosen ones, and `recall`, that of the changed ones, in
        [0, 1]; `rows` are the chosen ones. NaN where there is nothing to divide by.
    """
    both = float((chosen & changed).sum())
    return [
        Finding(
            subject=subject,
            part=stage,
            measure=measure,
            value=both / of if of else float("nan"),
            rows=int(chosen.sum()),
        )
        for measure, of in (("precision", int(chosen.sum())), ("recall", int(changed.sum())))
    ]


def _welch(judged: Judged) -> tuple[float, float]:
    """Of changed against clean values, variances not assumed equal."""
    known = ~np.isnan(judged.value)
    changed, clean = judged.value[known & judged.changed], judged.value[known & ~judged.changed]
    test = ttest_ind(changed, clean, equal_var=False)
    return float(test.statistic), float(test.pvalue)
