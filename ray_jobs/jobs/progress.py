"""Progress of a stage: a live bar in a terminal, plain lines with rate and ETA in a log.

Others who want to know (the job's record, Ray's metrics) observe.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from tqdm import tqdm

from ray_jobs.jobs.pace import Pace, added_up
from ray_jobs.jobs.stalls import Watch
from ray_jobs.terminal.say import note
from scoring.logs import fit

_SECONDS_BETWEEN_LINES = 10.0


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The progress of a stage at one moment."""

    name: str
    unit: str
    """What `done` and `total` count."""
    done: int
    total: int
    seconds: float
    """Since the stage began."""
    eta_s: float | None
    """Seconds until it ends, at the rate so far; None while nothing is done."""
    paces: tuple[Pace, ...] = ()
    """How fast workers did what is done, a pace for each kind of work."""


_observers: list[Callable[[Stage], None]] = []


@contextmanager
def observing(observer: Callable[[Stage], None]) -> Iterator[None]:
    """Call `observer` whenever a stage starts, advances or ends."""
    _observers.append(observer)
    try:
        yield
    finally:
        _observers.remove(observer)


class Progress:
    """Counts the units of a stage; use it as a context manager."""

    def __init__(self, stage: str, total: int, unit: str) -> None:
        self._name = stage
        self._total = total
        self._unit = unit
        self._done = self._printed_done = 0
        self._started = self._printed_at = time.monotonic()
        self._bar: tqdm[Any] | None = None
        self._paces: dict[str, Pace] = {}
        self._watch = Watch(stage, self._left)

    def __enter__(self) -> "Progress":
        """Show that the stage has started."""
        if sys.stderr.isatty():
            self._bar = tqdm(total=self._total, desc=self._name, unit=self._unit, leave=True)
        else:
            units = plural(self._total, self._unit)
            note(f"{self._name}: {self._total} {units}")
        self._notify()
        self._watch.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the bar, or print the last line."""
        self._watch.end()
        self._notify()
        if self._bar is not None:
            self._bar.close()
        elif self._done > self._printed_done:
            self._print()

    def advance(self, units: int = 1, pace: Pace | None = None) -> None:
        """Count `units` as done, at a pace if their worker measured it."""
        self._done += units
        if pace:
            self._paces = added_up([*self._paces.values(), pace])
        if units:
            self._watch.moved()
        self._notify()
        if self._bar is not None:
            self._bar.update(units)
        elif time.monotonic() - self._printed_at > _SECONDS_BETWEEN_LINES:
            self._print()

    def note(self, line: str) -> None:
        """Print a line without breaking the bar."""
        tqdm.write(fit(f"{self._name}: {line}"), file=sys.stderr)

    def _left(self) -> str:
        left = self._total - self._done
        return f"{left} of {self._total} {plural(self._total, self._unit)}"

    def _print(self) -> None:
        self._printed_at, self._printed_done = time.monotonic(), self._done
        stage = self._measure()
        eta = "?" if stage.eta_s is None else clock(stage.eta_s)
        note(
            f"{stage.name}: {stage.done}/{stage.total} {plural(stage.total, stage.unit)}, "
            f"{stage.done / max(stage.seconds, 1e-9):.2f}/s, "
            f"elapsed {clock(stage.seconds)}, ETA {eta}"
        )

    def _notify(self) -> None:
        for observer in _observers:
            observer(self._measure())

    def _measure(self) -> Stage:
        seconds = time.monotonic() - self._started
        return Stage(
            name=self._name,
            unit=self._unit,
            done=self._done,
            total=self._total,
            seconds=seconds,
            eta_s=seconds / self._done * (self._total - self._done) if self._done else None,
            paces=tuple(self._paces.values()),
        )


def counted(count: int, unit: str) -> str:
    """Return a count and its unit."""
    return f"{count:,} {plural(count, unit)}"


def plural(count: float, unit: str) -> str:
    """Return the name of a unit as it reads after a count."""
    return unit if count == 1 else f"{unit}s"


def clock(seconds: float) -> str:
    """Format seconds as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
