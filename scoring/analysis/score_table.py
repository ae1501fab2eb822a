"""One partition of `scores`, with the columns that analyses compute with as arrays."""

from collections.abc import Mapping, Sequence
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
    """[N]."""
    label: Ints
    """[N] class index, -1 where unknown."""
    predicted: Ints
    """[N] class index, -1 where unknown."""
    rank: Ints
    """[N] 0 = most outlying, -1 where the row is not ranked."""
    percentile: Floats
    """[N] in [0, 100], low = outlying; NaN where the row is not ranked."""
    table: Any
    """The Arrow table with these and all other columns."""

    @classmethod
    def from_table(cls, table: Any) -> "Scores":  # noqa: ANN401 - Arrow ships no types
        """Take the columns to compute with out of an Arrow table."""
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
        """Return a column as [N] float64, NaN where it is null."""
        numbers: Floats = self.table[column].to_numpy()
        return numbers


def read_scores(
    store: Store,
    dataset: str,
    split: Split,
    metric: str,
    at: At = None,
    also: Sequence[str] = (),
) -> Scores:
    """Read one partition, with columns besides the usual ones if they are named.

    Raises:
        UnknownName: it is not published; the message lists what is.
    """
    columns = (*_COLUMNS, *also)
    return Scores.from_table(store.scores(dataset, split, metric, columns=columns, at=at))
