"""Error rate by tenths of a ranking: does the classifier fail on what a metric calls hard?

Agarwal, D'souza & Hooker, "Estimating Example Difficulty using Variance of Gradients", CVPR 2022,
arXiv:2008.11600, Figures 4, 5, 8 and 10 to 12 show it by percentile of VoG on the test set. Here it
is computed for any metric, most outlying tenth first.
"""

from dataclasses import dataclass

import numpy as np

from scoring.analysis.score_table import Scores
from scoring.analysis.statistics import TENTHS, tenths
from scoring.tables.findings import Finding

PARTS = {
    **{str(tenth + 1): slice(tenth, tenth + 1) for tenth in range(TENTHS)},
    "upper half": slice(TENTHS // 2, TENTHS),
    "all": slice(0, TENTHS),
}
"""Name to tenths: "1" is the most outlying, "upper half" the more prototypical half."""


@dataclass(frozen=True, kw_only=True)
class Errors:
    """How often the classifier is wrong in each tenth of a metric's ranking."""

    rows: tuple[int, ...]
    """Examples in each tenth, most outlying tenth first."""
    wrong: tuple[int, ...]
    """How many of them are misclassified."""

    @property
    def rates(self) -> tuple[float | None, ...]:
        """Share of wrong predictions in each tenth, None where the tenth is empty."""
        return tuple(w / n if n else None for w, n in zip(self.wrong, self.rows, strict=True))

    @property
    def rate(self) -> float:
        """Share of wrong predictions over all tenths."""
        return sum(self.wrong) / sum(self.rows)

    @property
    def upper_half(self) -> float | None:
        """Share of wrong predictions in the more prototypical half, None if it is empty."""
        half = PARTS["upper half"]
        rows = sum(self.rows[half])
        return sum(self.wrong[half]) / rows if rows else None


def errors_by_tenth(scores: Scores) -> Errors | None:
    """Count errors by tenths of `rank`, which has no ties.

    Returns:
        None if no ranked row has both a label and a prediction.
    """
    known = (scores.rank >= 0) & (scores.label >= 0) & (scores.predicted >= 0)
    if not known.any():
        return None
    tenth = tenths(scores.rank)[known]
    wrong = (scores.label != scores.predicted)[known]
    return Errors(
        rows=tuple(np.bincount(tenth, minlength=TENTHS).tolist()),
        wrong=tuple(np.bincount(tenth[wrong], minlength=TENTHS).tolist()),
    )


def findings(metric: str, errors: Errors) -> list[Finding]:
    """Report the error rate in [0, 1] of each of `PARTS`, NaN where a part is empty.

    Args:
        metric: the metric that ranks the examples.
        errors: the classifier's errors by tenths of that ranking.
    """
    found = []
    for part, in_part in PARTS.items():
        rows, wrong = sum(errors.rows[in_part]), sum(errors.wrong[in_part])
        rate = wrong / rows if rows else float("nan")
        found.append(
            Finding(subject=metric, part=part, measure="error_rate", value=rate, rows=rows)
        )
    return found
