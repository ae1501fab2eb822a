"""Error rate by tenths of a ranking: is what a metric calls hard what the classifier gets wrong?

Agarwal, D'souza & Hooker, "Estimating Example Difficulty using Variance of Gradients", CVPR 2022,
arXiv:2008.11600, Figures 4, 5, 8 and 10 to 12: there by percentile of VoG on the test set; here for
any metric, its most outlying tenth first.
"""

from scoring.analysis.statistics import DECILES, Errors
from scoring.tables.findings import Finding

PARTS = {
    **{str(tenth + 1): slice(tenth, tenth + 1) for tenth in range(DECILES)},
    "upper half": slice(DECILES // 2, DECILES),
    "all": slice(0, DECILES),
}
"""Name to tenths: "1" is the most outlying, "upper half" the more prototypical."""


def findings(metric: str, errors: Errors) -> list[Finding]:
    """Error rate in [0, 1] of each of `PARTS`; NaN of an empty one.

    Args:
        metric: whose ranking it is.
        errors: what the classifier got wrong by tenths, the most outlying first.
    """
    found = []
    for part, tenths in PARTS.items():
        rows, wrong = sum(errors.rows[tenths]), sum(errors.wrong[tenths])
        rate = wrong / rows if rows else float("nan")
        found.append(
            Finding(subject=metric, part=part, measure="error_rate", value=rate, rows=rows)
        )
    return found
