"""How long a store that does not answer is asked again.

What may pass is tried again after growing pauses: errors of a server (5xx, SlowDown), timeouts and
connections that break or are refused. What a server refuses (403, 404) is not. The pauses are drawn
at random, so that a cluster's workers do not all come back at the same moment.
"""

import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from scoring.errors import UserError

VARIABLE = "PROTOSCORE_RETRY_S"
"""Environment variable: seconds for which a request is tried again."""
_DEFAULT_S = 120.0
_FIRST_S, _LONGEST_S = 0.5, 15.0
_limited: ContextVar[float] = ContextVar("limited", default=float("inf"))


def patience_s() -> float:
    """Return for how many seconds a request is tried again here and now.

    Raises:
        UserError: the environment holds no such number.
    """
    text = os.environ.get(VARIABLE) or str(_DEFAULT_S)
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise UserError(f"{VARIABLE}: expected seconds, got {text!r}")
    return min(seconds, _limited.get())


@contextmanager
def patience(at_most_s: float) -> Iterator[None]:
    """Be patient for at most so many seconds in the block, which this thread runs."""
    token = _limited.set(min(at_most_s, _limited.get()))
    try:
        yield
    finally:
        _limited.reset(token)


def pauses(seconds: float) -> Iterator[float]:
    """Yield the seconds to wait before each further try, until this many have gone by."""
    end, longest = time.monotonic() + seconds, _FIRST_S
    while (left := end - time.monotonic()) > 0:
        yield min(left, random.uniform(longest / 2, longest))
        longest = min(2 * longest, _LONGEST_S)
