"""Ranks: the position of each example among all examples, and within its class.

    rank              0 = most outlying, N - 1 = most prototypical
    percentile        100 * mean rank of the rows of equal value / (N - 1); 50 where N <= 2
    class_percentile  the same among the rows of its class
    class_z           (value - mean) / sd of its class, population form; 0 where the class has one
                      row or no spread; not oriented

Rows are ordered by value or, for metrics that are ranked within classes (Agarwal et al.,
"Estimating Example Difficulty using Variance of Gradients", CVPR 2022, section 2), by class_z; then
by the metric's tiebreak; then by example id. The metric says which end of a value is prototypical,
and at which end a row without a value stands, given its status. All other rows without a value are
not ranked and not counted in N. Cost: a few sorts, O(N log N), and ten columns of 8 bytes at the
peak.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from scoring.arrays import AnyInts, Floats, Strings
from scoring.statuses import End

UNRANKED = -1


@dataclass(frozen=True, kw_only=True)
class RankColumns:
    """Ranks of N rows; row i belongs to row i of what was ranked."""

    rank: AnyInts
    """[N] int64, 0 = most outlying; -1 where the row is not ranked."""
    percentile: Floats
    """[N] float64 in [0, 100], low = outlying; NaN where the row is not ranked."""
    class_percentile: Floats
    """[N] float64 in [0, 100]; NaN where the row is not ranked or its class is unknown."""
    class_z: Floats
    """[N] float64, in standard deviations; NaN where value or class is unknown."""


def rank(
    *,
    value: Floats,
    label: AnyInts,
    example_id: AnyInts,
    direction: Literal["high", "low"],
    status: Strings | None = None,
    ends: Mapping[str, End] | None = None,
    tiebreak: Floats | None = None,
    ranked_by: Literal["value", "class_z"] = "value",
) -> RankColumns:
    """Rank N examples; the result does not depend on the order of the rows, to the bit.

    Args:
        value: [N] float64 in the metric's unit, NaN where there is none.
        label: [N] class in which values are normalised, -1 where unknown.
        example_id: [N] int64, no two equal.
        direction: the end of `value` that is prototypical.
        status: [N] "" or why there is no value; None: "" everywhere.
        ends: the statuses that are ranked, and at which end; None: no row without a value is.
        tiebreak: [N] float64, high = more prototypical: orders rows of equal value.
        ranked_by: order by the value itself, or by its class_z.

    Raises:
        ValueError: columns differ in length, or a value is infinite.
    """
    columns = (value, label, example_id, status, tiebreak)
    _check(value, example_id, [len(column) for column in columns if column is not None])
    class_z = _class_z(value, label, example_id)
    ordered_by = value if ranked_by == "value" else class_z
    key = _typicality(ordered_by, direction, status, ends or {})

    second = () if tiebreak is None else (tiebreak,)
    order = np.lexsort((example_id, *second, key))  # the row of rank r; NaN comes last
    order = order[: len(key) - np.count_nonzero(np.isnan(key))]
    ranks = np.full(len(value), UNRANKED, dtype=np.int64)
    ranks[order] = np.arange(len(order))
    percentile = np.full(len(value), np.nan)
    percentile[order] = _percentiles(key[order])
    return RankColumns(
        rank=ranks,
        percentile=percentile,
        class_percentile=_class_percentiles(key, label, order),
        class_z=class_z,
    )


def _check(value: Floats, example_id: AnyInts, lengths: Sequence[int]) -> None:
    if len(set(lengths)) > 1:
        raise ValueError(f"expected columns of one length, got {lengths}")
    if np.isinf(value).any():
        row = int(np.flatnonzero(np.isinf(value))[0])
        raise ValueError(
            f"value: expected finite numbers or NaN, got {value[row]} at example {example_id[row]}"
        )


def _typicality(
    value: Floats,
    direction: Literal["high", "low"],
    status: Strings | None,
    ends: Mapping[str, End],
) -> Floats:
    """Return [N] float64, high = more prototypical, NaN = not ranked."""
    key = value.copy() if direction == "high" else -value
    if status is not None:
        missing = np.flatnonzero(np.isnan(value))
        for name, end in ends.items():
            key[missing[status[missing] == name]] = np.inf if end == "prototypical" else -np.inf
    return key


def _class_z(value: Floats, label: AnyInts, example_id: AnyInts) -> Floats:
    z = np.full(len(value), np.nan)
    # Sums depend on the order of their terms: sort by id, so that the caller's order is irrelevant.
    rows = np.lexsort((example_id, label))
    rows = rows[(~np.isnan(value) & (label >= 0))[rows]]
    for members in _groups(rows, label[rows]):
        of_class = value[members]
        # The mean of equal numbers may differ from them in the last bit, which is not a spread.
        spread = of_class.std() if of_class.min() < of_class.max() else 0.0
        z[members] = (of_class - of_class.mean()) / spread if spread > 0 else 0.0
    return z


def _class_percentiles(key: Floats, label: AnyInts, order: AnyInts) -> Floats:
    percentile = np.full(len(key), np.nan)
    rows = order[np.argsort(label[order], kind="stable")]
    rows = rows[np.count_nonzero(label[order] < 0) :]
    for members in _groups(rows, label[rows]):
        percentile[members] = _percentiles(key[members])
    return percentile


def _percentiles(key: Floats) -> Floats:
    """Return the percentile of each of N rows, given their keys in ascending order."""
    n = len(key)
    if n <= 2:
        return np.full(n, 50.0)
    starts = np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1])))  # first of equal keys
    counts = np.diff(starts, append=n)
    mean_rank = starts + (counts - 1) / 2
    return np.repeat(100.0 * mean_rank / (n - 1), counts)


def _groups(rows: AnyInts, label: AnyInts) -> list[AnyInts]:
    """Cut `rows` where their sorted `label` changes."""
    return np.split(rows, np.flatnonzero(np.diff(label)) + 1) if len(rows) else []
