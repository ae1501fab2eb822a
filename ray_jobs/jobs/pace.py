"""How fast work goes: measured by the workers that do it, kept in job records, for forecasts.

Work is counted in passes, of which a backward one takes as long as two forward ones. So a row that
a run looks at after an epoch, in a forward pass, is a third of one that it trains on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # they import torch, which commands that only look at jobs need not
    from scoring.run_spec import RunSpec
    from scoring.runs.record import RunRecord
    from scoring.spec import Passes


_LOOK = 1 / 3  # of a row's passes in training


@dataclass(frozen=True, kw_only=True)
class Pace:
    """An amount of one kind of work, and how long it took. The fields are the keys of its JSON."""

    kind: str
    """`ingest`, `features` or `score`, or a `training_kind`."""
    amount: float
    """Rows to ingest, features of rows, passes to score (see `weigh`), or the `training_amount` of
    a run, the epochs being those of its recipe even if it stopped earlier."""
    seconds: float
    """Of all workers, added up."""


def added_up(paces: Iterable[Pace]) -> dict[str, Pace]:
    """Add up paces by kind."""
    found: dict[str, Pace] = {}
    for pace in paces:
        before = found.get(pace.kind, Pace(kind=pace.kind, amount=0.0, seconds=0.0))
        found[pace.kind] = Pace(
            kind=pace.kind,
            amount=before.amount + pace.amount,
            seconds=before.seconds + pace.seconds,
        )
    return found


def weigh(passes: Passes) -> float:
    """Return passes as a number of forward passes: a backward pass takes as long as two."""
    return passes.forward + 2 * passes.backward


def training_kind(spec: RunSpec) -> str:
    """Return what decides how long a pass of a training takes: its kind, its net and its width."""
    return f"{spec.kind} {spec.net.name} x{spec.net.width:g}"


def training_amount(spec: RunSpec, rows: int, looked_at: float = 0.0) -> float:
    """Return rows x epochs of a run; rows alone where a layer is solved for.

    Args:
        spec: the run.
        rows: that it trains on.
        looked_at: rows that it looks at after each epoch without training on them.
    """
    if spec.kind == "representer":
        return float(rows)
    return (rows + looked_at * _LOOK) * spec.recipe.epochs_for(rows)


def training_pace(record: RunRecord, seconds: float, looked_at: float = 0.0) -> Pace:
    """Return the pace of a run that has just been made, within this many seconds.

    A run that was resumed took longer than that: its record has the seconds of all its epochs.
    """
    return Pace(
        kind=training_kind(record.spec),
        amount=training_amount(record.spec, record.rows, looked_at),
        seconds=max(seconds, record.seconds),
    )
