"""The columns of a partition of `scores`, to compute with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from scoring.arrays import Floats, Ints
from scoring.store.keys import Split
from scoring.tables import Store
from scoring.tables.history import At

Row = Mapping[str, Any]
_COLUMNS = (
    "example_id",
    "label",
    "predicted",
    "value",
    "spread",
    "status",
    "rank",
    "percentile",
    "class_percentile",
)


@dataclass(frozen=True, kw_only=True)
class Scores:
    """The N rows of a partition, in any order."""

    ids: Ints
    """[N] int64."""
    label: Ints
    """[N] int64 class index, -1 where unknown."""
    predicted: Ints
    """[N] int64 class index, -1 where unknown."""
    rank: Ints
    """[N] int64, 0 = most outlying, -1 where there is no rank."""
    percentile: Floats
    """[N] float64 in [0, 100], low = outlying; NaN where there is no rank."""
    table: Any
    """An Arrow table of these and all other columns, which become Python objects on demand."""

    @classmethod
    def of(cls, table: Any) -> "Scores":  # noqa: ANN401 - Arrow ships no types
        """Split the columns to compute with from those to show."""
        label, predicted, rank = (
            table[name].fill_null(-1).to_numpy().astype(np.int64)
            for name in ("label", "predicted", "rank")
        )
        return cls(
            ids=table["example_id"].to_numpy(),
            label=label,
            predicted=predicted,
            rank=rank,
            percentile=table["percentile"].to_numpy(),
            table=table,
        )

    def numbers(self, column: str) -> Floats:
        """[N] float64 of a column; NaN where it has no number."""
        numbers: Floats = self.table[column].to_numpy()
        return numbers


def read_scores(store: Store, dataset: str, split: Split, metric: str, at: At = None) -> Scores:
    """One partition.

    Raises:
        UnknownName: it is not published; the message lists those that are.
    """
    return Scores.of(store.scores(dataset, split, metric, columns=_COLUMNS, at=at))
