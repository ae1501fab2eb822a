"""Progress of a stage: one live bar in a terminal, plain lines with rate and ETA in a log.

Whoever else wants to know (the job's record in the store, its metrics) observes.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from tqdm import tqdm

_SECONDS_BETWEEN_LINES = 10.0


@dataclass(frozen=True, kw_only=True)
class Stage:
    """How far a stage has come."""

    name: str
    unit: str
    done: int
    total: int
    seconds: float
    """Since it began."""
    eta_s: float | None
    """Seconds it still needs at the rate so far; None while nothing is done."""


_observers: list[Callable[[Stage], None]] = []


@contextmanager
def observing(observer: Callable[[Stage], None]) -> Iterator[None]:
    """Tell `observer` of every stage that starts or advances."""
    _observers.append(observer)
    try:
        yield
    finally:
        _observers.remove(observer)


class Progress:
    """Counts a stage's units; use it as a context manager."""

    def __init__(self, stage: str, total: int, unit: str) -> None:
        self._stage = stage
        self._total = total
        self._unit = unit
        self._done = self._said = 0
        self._started = self._printed = time.monotonic()
        self._bar: tqdm[Any] | None = None

    def __enter__(self) -> "Progress":
        """Show the stage as started."""
        if sys.stderr.isatty():
            self._bar = tqdm(total=self._total, desc=self._stage, unit=self._unit, leave=True)
        else:
            print(f"{self._stage}: {self._total} {self._unit}s", file=sys.stderr, flush=True)
        self._tell()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the bar, or print the stage's last line."""
        self._tell()
        if self._bar is not None:
            self._bar.close()
        elif self._done > self._said:
            self._print()

    def advance(self, units: int = 1) -> None:
        """Count `units` as done."""
        self._done += units
        self._tell()
        if self._bar is not None:
            self._bar.update(units)
        elif time.monotonic() - self._printed > _SECONDS_BETWEEN_LINES:
            self._print()

    def note(self, line: str) -> None:
        """Say something without breaking the bar."""
        tqdm.write(f"{self._stage}: {line}", file=sys.stderr)

    def _print(self) -> None:
        self._printed, self._said = time.monotonic(), self._done
        stage = self._standing()
        eta = "?" if stage.eta_s is None else clock(stage.eta_s)
        print(
            f"{stage.name}: {stage.done}/{stage.total} {stage.unit}s, "
            f"{stage.done / max(stage.seconds, 1e-9):.2f}/s, "
            f"elapsed {clock(stage.seconds)}, ETA {eta}",
            file=sys.stderr,
            flush=True,
        )

    def _tell(self) -> None:
        for observer in _observers:
            observer(self._standing())

    def _standing(self) -> Stage:
        seconds = time.monotonic() - self._started
        return Stage(
            name=self._stage,
            unit=self._unit,
            done=self._done,
            total=self._total,
            seconds=seconds,
            eta_s=seconds / self._done * (self._total - self._done) if self._done else None,
        )


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
