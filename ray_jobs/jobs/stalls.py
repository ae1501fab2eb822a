"""A stage that stands still says what it waits for: a hang that says nothing is a fault."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

from scoring.logs import fit

FIRST_S = 300.0
"""Seconds without progress after which a stage speaks; then it waits twice as long each time."""

Reason = Callable[[], str]
"""Returns what everybody waits for at the moment, as far as it can be known; "" if unknown."""
_reasons: list[Reason] = []


@contextmanager
def explaining(reason: Reason) -> Iterator[None]:
    """Let stages in the block add what `reason` says, such as how busy the cluster is."""
    _reasons.append(reason)
    try:
        yield
    finally:
        _reasons.remove(reason)


class Watch:
    """Speaks up, from a thread of its own, whenever nothing has moved for long."""

    def __init__(self, name: str, waiting_for: Callable[[], str]) -> None:
        self._name = name
        self._waiting_for = waiting_for
        self._moved = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._watch, name=f"watch {name}", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def moved(self) -> None:
        """Note that something has been done."""
        self._moved.set()

    def end(self) -> None:
        """Watch no longer."""
        self._ended = True
        self._moved.set()

    def _watch(self) -> None:
        since, limit = time.monotonic(), FIRST_S
        while not self._ended:
            if self._moved.wait(since + limit - time.monotonic()):
                self._moved.clear()
                since, limit = time.monotonic(), FIRST_S
            else:
                self._speak(time.monotonic() - since)
                limit *= 2

    def _speak(self, seconds: float) -> None:
        reasons = [said for said in map(_ask, list(_reasons)) if said]
        what = "; ".join([self._waiting_for(), *reasons])
        line = f"{self._name}: nothing done for {seconds / 60:.0f} minutes; waiting for {what}"
        tqdm.write(fit(line), file=sys.stderr)
        sys.stderr.flush()


@contextmanager
def watching(name: str, waiting_for: str) -> Iterator[None]:
    """Say what a block waits for if it takes long."""
    watch = Watch(name, lambda: waiting_for)
    watch.start()
    try:
        yield
    finally:
        watch.end()


def _ask(reason: Reason) -> str:
    try:
        return reason()
    except Exception as error:  # it is asked just when things do not work
        return f"the cluster does not say ({type(error).__name__})"
