"""How often, and how patiently, a commit is tried while other jobs commit first."""

import random
import time

from scoring.errors import IncompleteError
from scoring.store.layout import table_path

TRIES = 30
_LONGEST_PAUSE_S = 2.0


def pause(attempt: int) -> None:
    """Wait before the next try, by chance and longer each time."""
    time.sleep(random.uniform(0, min(_LONGEST_PAUSE_S, 0.02 * 2**attempt)))


def never_alone(name: str, tries: int) -> IncompleteError:
    """Return the error of a commit to a table that other jobs always came before."""
    return IncompleteError(
        f"{table_path(name)}: expected to commit within {tries} tries, "
        "got a conflict with another job every time; nothing was published"
    )
