"""Signals: the first Ctrl-C or SIGTERM lets a job end cleanly, the second ends it at once."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from scoring.errors import Terminated

_STOPS = (signal.SIGINT, signal.SIGTERM)
_received: list[int] = []


@contextmanager
def ending_cleanly() -> Iterator[None]:
    """Raise `KeyboardInterrupt` or `Terminated` in the block at the first signal.

    So whatever is open is closed: the record is written, a Ray that was started is stopped. Signals
    that the process ignores, as under nohup, stay ignored.
    """
    with kept_handlers():
        if _here():
            _received.clear()
            for number in _STOPS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    signal.signal(number, _interrupt)
        yield


@contextmanager
def kept_handlers() -> Iterator[None]:
    """Put the handlers of these signals back after the block, whatever it sets."""
    before = {number: signal.getsignal(number) for number in _STOPS} if _here() else {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def interruption() -> KeyboardInterrupt:
    """Return what to raise for the signal that was received.

    Ray raises a plain `KeyboardInterrupt`, whatever a handler raises while it waits.
    """
    return Terminated() if signal.SIGTERM in _received else KeyboardInterrupt()


def _here() -> bool:
    """Whether this is the thread that gets signals; no other may handle them."""
    return threading.current_thread() is threading.main_thread()


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    for each in _STOPS:
        signal.signal(each, _end_at_once)
    _received.append(number)
    raise interruption()


def _end_at_once(number: int, frame: FrameType | None) -> NoReturn:
    os.write(2, b"protoscore: ended at once\n")
    os._exit(128 + number)
