"""What changed between two nights: rows that went, rows that became outlying, accuracy."""

import numpy as np

from scoring.analysis.score_table import Scores
from scoring.arrays import Ints

LOWEST = 1.0
"""Percentiles below this are the lowest hundredth of a ranking."""


def lowest(scores: Scores) -> Ints:
    """Return the ids of the lowest hundredth of a partition; rows without a rank do not count."""
    return scores.ids[scores.percentile < LOWEST]


def newly_lowest(before: Scores, after: Scores) -> Ints:
    """Return the ids [K], ascending, in the lowest hundredth now that were not in it before."""
    return np.setdiff1d(lowest(after), lowest(before))


def gone(before: Scores, after: Scores) -> Ints:
    """Return the ids [K], ascending, that are no longer published."""
    return np.setdiff1d(before.ids, after.ids)


def accuracy(scores: Scores) -> float:
    """Return the share of right predictions among rows with a label and a prediction.

    NaN if there is none.
    """
    known = (scores.label >= 0) & (scores.predicted >= 0)
    right = scores.label[known] == scores.predicted[known]
    return float(right.mean()) if len(right) else float("nan")
