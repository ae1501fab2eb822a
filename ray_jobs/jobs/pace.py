"""How fast work goes: measured by the workers that do it, kept in job records, for forecasts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # they import torch, which commands that only look at jobs need not
    from scoring.run_spec import RunSpec
    from scoring.runs.record import RunRecord
    from scoring.spec import Passes


@dataclass(frozen=True, kw_only=True)
class Pace:
    """An amount of one kind of work, and how long it took. The fields are the keys of its JSON."""

    kind: str
    """`ingest`, `features` or `score`, or a `training_kind`."""
    amount: float
    """Rows to ingest, features of rows, passes to score (see `weigh`), or rows x epochs of a run,
    the epochs being those of its recipe even if it stopped earlier."""
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


def training_amount(spec: RunSpec, rows: int) -> float:
    """Return rows x epochs of a run on `rows` rows; rows alone where a layer is solved for."""
    return float(rows if spec.kind == "representer" else rows * spec.recipe.epochs_for(rows))


def training_pace(record: RunRecord, seconds: float) -> Pace:
    """Return the pace of a run that has just been made, within this many seconds.

    A run that was resumed took longer than that: its record has the seconds of all its epochs.
    """
    return Pace(
        kind=training_kind(record.spec),
        amount=training_amount(record.spec, record.rows),
        seconds=max(seconds, record.seconds),
    )
