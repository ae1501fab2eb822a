"""Cuts and joins columns by rows."""

from collections.abc import Sequence

import numpy as np

from scoring.spec import Columns


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
    spread = [part.spread for part in parts if part.spread is not None]
    tiebreak = [part.tiebreak for part in parts if part.tiebreak is not None]
    status = [
        np.full(len(part.value), "") if part.status is None else part.status for part in parts
    ]
    return Columns(
        value=np.concatenate([part.value for part in parts]),
        spread=np.concatenate(spread) if spread else None,
        tiebreak=np.concatenate(tiebreak) if tiebreak else None,
        status=np.concatenate(status),
    )
