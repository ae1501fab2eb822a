"""How hard a boundary race searches for the smallest perturbation: the only setting for users."""

from dataclasses import dataclass
from typing import Literal

from scoring.spec import Passes


@dataclass(frozen=True, kw_only=True)
class Heat:
    """One or more races in a row: which classes take part, and for how many steps."""

    classes: int
    """K: number of likeliest other classes to consider."""
    gate: float
    """A class starts if its plane is at most this many times as far away as the nearest."""
    slack: float
    """A class drops out in step k if it is more than 1 + slack / (k + 1) times as far away."""
    races: tuple[int, ...]
    """Steps of each race; every race after the first starts from the best point so far, kicked."""
    exact: bool = False
    """Whether every evaluation is in float32; bfloat16 ends a few tenths of a percent short."""


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How hard to search."""

    heats: tuple[Heat, ...]
    """Each heat continues with the best points of those before it."""
    passes: Passes
    """Passes per example, as measured on nets of ten classes."""


_BRIEF = Heat(classes=5, gate=1.3, slack=0.4, races=(13,))
_USUAL = Heat(classes=7, gate=1.5, slack=1, races=(7, 22))
_WIDE = Heat(classes=9, gate=2, slack=2, races=5 * (30,), exact=True)

EffortName = Literal["fast", "standard", "thorough"]
EFFORTS: dict[EffortName, Effort] = {
    "fast": Effort(heats=(_BRIEF,), passes=Passes(forward=21, backward=21)),
    "standard": Effort(heats=(_USUAL,), passes=Passes(forward=48, backward=44)),
    "thorough": Effort(heats=(_USUAL, _WIDE), passes=Passes(forward=250, backward=230)),
}
