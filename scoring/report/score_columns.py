"""The scores of a metric as compact columns for the pages: about a dozen bytes per example."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from scoring.analysis.score_table import Scores
from scoring.arrays import Floats, Ints
from scoring.report.histograms import histogram
from scoring.report.scripts import packed

STEPS = 500
"""Resolution of stored percentiles: 500 steps per point."""
NONE = 65535
"""Stands for a missing percentile or class in a 16-bit column."""
_UNKNOWN = 255  # in `probability`, which is in percent
_UNSCORED = 255  # in `status`: the metric has no row for the example


@dataclass(frozen=True, kw_only=True)
class MetricColumns:
    """The scores of one metric at a split's N positions."""

    order: npt.NDArray[np.uint32]
    """Positions of the ranked examples, the most outlying first."""
    unranked: npt.NDArray[np.uint32]
    """Positions of the examples without a rank."""
    percentile: npt.NDArray[np.uint16]
    """[N] percentile times `STEPS`; `NONE` where there is none."""
    class_percentile: npt.NDArray[np.uint16]
    """[N] percentile within the class, stored in the same way."""
    value: npt.NDArray[np.float32]
    """[N], NaN where there is none."""
    spread: npt.NDArray[np.float32] | None
    """[N], NaN where there is none; None if no example has one."""
    class_z: npt.NDArray[np.float32] | None
    """[N], NaN where there is none; None if the metric is ranked by its value."""
    status: npt.NDArray[np.uint8]
    """[N] index into the split's statuses; 0 means no status, 255 no score."""
    label: npt.NDArray[np.uint16]
    """[N] class index; `NONE` where unknown."""
    predicted: npt.NDArray[np.uint16]
    """[N] predicted class index; `NONE` where unknown."""

    def ranking(self) -> dict[str, Any]:
        """Return what the examples page sorts and filters by, in order of rank."""
        ranking = {
            "order": packed(self.order),
            "percentile": packed(self.percentile[self.order]),
            "class_percentile": packed(self.class_percentile[self.order]),
            "unranked": packed(self.unranked),
        }
        if not len(self.order):
            return ranking
        ranked_by = self.value if self.class_z is None else self.class_z
        values = histogram(ranked_by[self.order].astype(np.float64))
        return {**ranking, "bin": packed(values.bin), "edges": packed(values.edges)}

    def answers(self, probability: Floats | None) -> dict[str, Any]:
        """Return labels and predictions by position.

        Args:
            probability: [N] of the predicted class; NaN where unknown, None if it is everywhere.
        """
        columns = {"label": packed(self.label), "predicted": packed(self.predicted)}
        if probability is None:
            return columns
        return {**columns, "probability": packed(_percents(probability))}


class Statuses:
    """Numbers the words of `status` in the order they turn up, over all metrics of a split."""

    def __init__(self) -> None:
        self.names = [""]

    def numbers(self, column: Any) -> npt.NDArray[np.uint8]:  # noqa: ANN401 - an Arrow column
        """Return the number of each word of a column [K]; nulls count as ""."""
        coded = column.fill_null("").combine_chunks().dictionary_encode()
        words = [word or "" for word in coded.dictionary.to_pylist()]
        self.names += [word for word in words if word not in self.names]
        numbers = np.array([self.names.index(word) for word in words], dtype=np.uint8)
        found: npt.NDArray[np.uint8] = numbers[coded.indices.to_numpy()]
        return found


def lay_out(scores: Scores, at: Ints, count: int, statuses: Statuses) -> MetricColumns:
    """Lay out the scores of a metric by position.

    Args:
        scores: the K rows of a partition, with `class_z` if the metric is ranked by it.
        at: [K] position of each row.
        count: N, the number of positions.
        statuses: the split's statuses; new ones are added.
    """

    def by_position(column: npt.NDArray[Any], empty: float) -> npt.NDArray[Any]:
        whole = np.full(count, empty, dtype=column.dtype)
        whole[at] = column
        return whole

    ranked = np.flatnonzero(scores.rank >= 0)
    order = at[ranked[np.argsort(scores.rank[ranked])]]
    value, spread = (scores.numbers(name).astype(np.float32) for name in ("value", "spread"))
    ranked_by_z = "class_z" in scores.table.column_names
    class_z = scores.numbers("class_z").astype(np.float32) if ranked_by_z else None
    return MetricColumns(
        order=order.astype(np.uint32),
        unranked=np.sort(at[scores.rank < 0]).astype(np.uint32),
        percentile=by_position(percentiles_u2(scores.percentile), NONE),
        class_percentile=by_position(percentiles_u2(scores.numbers("class_percentile")), NONE),
        value=by_position(value, np.nan),
        spread=None if np.isnan(spread).all() else by_position(spread, np.nan),
        class_z=None if class_z is None else by_position(class_z, np.nan),
        status=by_position(statuses.numbers(scores.table["status"]), _UNSCORED),
        label=by_position(classes_u2(scores.label), NONE),
        predicted=by_position(classes_u2(scores.predicted), NONE),
    )


def pack_rows(metrics: Mapping[str, MetricColumns], rows: slice) -> dict[str, Any]:
    """Pack the scores of M metrics at R consecutive positions: columns [M * R], by metric.

    `spread` and `class_z`, which few metrics have, map each of these to a column [R].
    """

    def concatenated(name: str) -> dict[str, str]:
        return packed(np.concatenate([getattr(m, name)[rows] for m in metrics.values()]))

    def of_some(name: str) -> dict[str, Any]:
        columns = {metric: getattr(found, name) for metric, found in metrics.items()}
        return {m: packed(column[rows]) for m, column in columns.items() if column is not None}

    names: Sequence[str] = ("value", "percentile", "class_percentile", "status")
    some = {name: of_some(name) for name in ("spread", "class_z")}
    return {**{name: concatenated(name) for name in names}, **some}


def _percents(probability: Floats) -> npt.NDArray[np.uint8]:
    whole = np.round(100 * np.nan_to_num(probability)).astype(np.uint8)
    return np.where(np.isnan(probability), np.uint8(_UNKNOWN), whole)


def percentiles_u2(percentile: Floats) -> npt.NDArray[np.uint16]:
    """Return percentiles times `STEPS`; `NONE` where there is none."""
    steps = np.round(np.nan_to_num(percentile) * STEPS).astype(np.uint16)
    return np.where(np.isnan(percentile), np.uint16(NONE), steps)


def classes_u2(index: Ints) -> npt.NDArray[np.uint16]:
    """Return class indices; `NONE` where they are below 0."""
    return np.where(index < 0, NONE, index).astype(np.uint16)
