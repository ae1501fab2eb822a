"""How hard a boundary race looks for the smallest perturbation: the one dial that users turn."""

from dataclasses import dataclass
from typing import Literal

from scoring.spec import Passes


@dataclass(frozen=True, kw_only=True)
class Heat:
    """Which classes race, and for how long."""

    classes: int
    """K, likeliest other classes that are looked at."""
    gate: float
    """A class starts if its plane is at most this many times as far as the nearest."""
    slack: float
    """A class drops out in step k if it is more than 1 + slack / (k + 1) times as far."""
    races: tuple[int, ...]
    """Steps of each race; all but the first start from the best point so far, kicked."""
    exact: bool = False
    """Every look is in float32: bfloat16 stops a few tenths of a percent short."""


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How hard to look."""

    heats: tuple[Heat, ...]
    """Each goes on with the best that those before it found."""
    usual: Passes
    """Passes an example, measured on nets of ten classes."""


_BRIEF = Heat(classes=5, gate=1.3, slack=0.4, races=(13,))
_USUAL = Heat(classes=7, gate=1.5, slack=1, races=(7, 22))
_WIDE = Heat(classes=9, gate=2, slack=2, races=5 * (30,), exact=True)

EffortName = Literal["fast", "standard", "thorough"]
EFFORTS: dict[EffortName, Effort] = {
    "fast": Effort(heats=(_BRIEF,), usual=Passes(forward=21, backward=21)),
    "standard": Effort(heats=(_USUAL,), usual=Passes(forward=48, backward=44)),
    "thorough": Effort(heats=(_USUAL, _WIDE), usual=Passes(forward=250, backward=230)),
}
