"""Progress of a stage: one live bar in a terminal, plain lines with rate and ETA in a log."""

import sys
import time
from types import TracebackType
from typing import Any

from tqdm import tqdm

_SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Counts a stage's units; use it as a context manager."""

    def __init__(self, stage: str, total: int, unit: str) -> None:
        self._stage = stage
        self._total = total
        self._unit = unit
        self._done = 0
        self._started = self._printed = time.monotonic()
        self._bar: tqdm[Any] | None = None

    def __enter__(self) -> "Progress":
        """Show the stage as started."""
        if sys.stderr.isatty():
            self._bar = tqdm(total=self._total, desc=self._stage, unit=self._unit, leave=True)
        else:
            print(f"{self._stage}: {self._total} {self._unit}s", file=sys.stderr, flush=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the bar, or print the stage's last line."""
        if self._bar is not None:
            self._bar.close()
        elif self._done:
            self._print()

    def advance(self, units: int = 1) -> None:
        """Count `units` as done."""
        self._done += units
        if self._bar is not None:
            self._bar.update(units)
        elif time.monotonic() - self._printed > _SECONDS_BETWEEN_LINES:
            self._print()

    def note(self, line: str) -> None:
        """Say something without breaking the bar."""
        tqdm.write(f"{self._stage}: {line}", file=sys.stderr)

    def _print(self) -> None:
        self._printed = time.monotonic()
        seconds = self._printed - self._started
        rate = self._done / max(seconds, 1e-9)
        left = _clock((self._total - self._done) / rate) if self._done else "?"
        print(
            f"{self._stage}: {self._done}/{self._total} {self._unit}s, {rate:.2f}/s, "
            f"elapsed {_clock(seconds)}, ETA {left}",
            file=sys.stderr,
            flush=True,
        )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
