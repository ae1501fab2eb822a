"""Cuts and joins columns by rows."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from scoring.arrays import Floats, Ints
from scoring.spec import Columns

Column = TypeVar("Column", Floats, Ints)


def head(columns: Columns, rows: int) -> Columns:
    """Return the first rows, without the padding of the batch."""
    spread, tiebreak, status = columns.spread, columns.tiebreak, columns.status
    return Columns(
        value=columns.value[:rows],
        spread=None if spread is None else spread[:rows],
        tiebreak=None if tiebreak is None else tiebreak[:rows],
        status=None if status is None else status[:rows],
    )


def joined(parts: Sequence[Columns]) -> Columns:
    """Return the rows of all parts, in order."""
    status = [
        np.full(len(part.value), "") if part.status is None else part.status for part in parts
    ]
    return Columns(
        value=np.concatenate([part.value for part in parts]),
        spread=_joined([part.spread for part in parts]),
        tiebreak=_joined([part.tiebreak for part in parts]),
        status=np.concatenate(status),
        classes=_joined([part.classes for part in parts]),
        probabilities=_joined([part.probabilities for part in parts]),
        over_epochs=_joined([part.over_epochs for part in parts]),
    )


def _joined(columns: Sequence[Column | None]) -> Column | None:
    """Return one column of those that there are; None if there are none."""
    there = [column for column in columns if column is not None]
    return np.concatenate(there) if there else None
