"""What metrics say of every example, as the numbers that pages show: a dozen bytes an example."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from scoring.analysis.scores import Scores
from scoring.arrays import Floats, Ints
from scoring.report.scripts import packed

STEPS = 500
"""Of a percentile between two whole ones."""
NONE = 65535
"""Of a 16-bit column: no percentile, no class."""
_UNKNOWN = 255  # of `status`: the metric does not know the example


@dataclass(frozen=True, kw_only=True)
class MetricColumns:
    """What a metric says of a split's N positions."""

    order: npt.NDArray[np.uint32]
    """Positions of the ranked examples, the most outlying first."""
    unranked: npt.NDArray[np.uint32]
    """Positions of those without a rank."""
    percentile: npt.NDArray[np.uint16]
    """[N] times `STEPS`; `NONE` where there is none."""
    class_percentile: npt.NDArray[np.uint16]
    """[N], the same."""
    value: npt.NDArray[np.float32]
    """[N], NaN where there is none."""
    spread: npt.NDArray[np.float32] | None
    """[N], None where no example has one."""
    status: npt.NDArray[np.uint8]
    """[N] index into the split's statuses, of which 0 is none."""
    label: npt.NDArray[np.uint16]
    """[N] class index; `NONE` where unknown."""
    predicted: npt.NDArray[np.uint16]
    """[N], the same."""

    def ranking(self) -> dict[str, Any]:
        """What the browser of examples sorts and filters by, in order of rank."""
        return {
            "order": packed(self.order),
            "percentile": packed(self.percentile[self.order]),
            "class_percentile": packed(self.class_percentile[self.order]),
            "unranked": packed(self.unranked),
        }

    def answers(self) -> dict[str, Any]:
        """Labels and predictions by position."""
        return {"label": packed(self.label), "predicted": packed(self.predicted)}


class Statuses:
    """Texts of `status` by number, numbered as they come."""

    def __init__(self) -> None:
        self.texts = [""]

    def numbers(self, column: Any) -> npt.NDArray[np.uint8]:  # noqa: ANN401 - an Arrow column
        """[K] numbers of a column of texts and nulls."""
        coded = column.fill_null("").combine_chunks().dictionary_encode()
        known = [text or "" for text in coded.dictionary.to_pylist()]
        self.texts += [text for text in known if text not in self.texts]
        numbers = np.array([self.texts.index(text) for text in known], dtype=np.uint8)
        found: npt.NDArray[np.uint8] = numbers[coded.indices.to_numpy()]
        return found


def columns_of(scores: Scores, at: Ints, count: int, statuses: Statuses) -> MetricColumns:
    """Lay out a partition.

    Args:
        scores: its K rows.
        at: [K] position of each row.
        count: N.
        statuses: of the split; gets those that are new.
    """

    def laid(column: npt.NDArray[Any], empty: float) -> npt.NDArray[Any]:
        whole = np.full(count, empty, dtype=column.dtype)
        whole[at] = column
        return whole

    ranked = np.flatnonzero(scores.rank >= 0)
    order = at[ranked[np.argsort(scores.rank[ranked])]]
    value, spread = (scores.numbers(name).astype(np.float32) for name in ("value", "spread"))
    return MetricColumns(
        order=order.astype(np.uint32),
        unranked=np.sort(at[scores.rank < 0]).astype(np.uint32),
        percentile=laid(_steps(scores.percentile), NONE),
        class_percentile=laid(_steps(scores.numbers("class_percentile")), NONE),
        value=laid(value, np.nan),
        spread=None if np.isnan(spread).all() else laid(spread, np.nan),
        status=laid(statuses.numbers(scores.table["status"]), _UNKNOWN),
        label=laid(_classes(scores.label), NONE),
        predicted=laid(_classes(scores.predicted), NONE),
    )


def rows_of(metrics: Mapping[str, MetricColumns], rows: slice) -> dict[str, Any]:
    """What all metrics say of R consecutive positions: columns [M * R], metric by metric."""

    def every(name: str) -> dict[str, str]:
        return packed(np.concatenate([getattr(of, name)[rows] for of in metrics.values()]))

    spreads = {
        metric: packed(of.spread[rows]) for metric, of in metrics.items() if of.spread is not None
    }
    names: Sequence[str] = ("value", "percentile", "class_percentile", "status")
    return {**{name: every(name) for name in names}, "spread": spreads}


def _steps(percentile: Floats) -> npt.NDArray[np.uint16]:
    steps = np.round(np.nan_to_num(percentile) * STEPS).astype(np.uint16)
    return np.where(np.isnan(percentile), np.uint16(NONE), steps)


def _classes(index: Ints) -> npt.NDArray[np.uint16]:
    return np.where(index < 0, NONE, index).astype(np.uint16)
