"""The one way to the terminal and the job's log, whatever a line quotes.

Nothing that is said moves the cursor or holds a credential. Ruff refuses `print` anywhere else.
"""

import sys
import traceback
from types import TracebackType

from scoring.logs import fit
from scoring.printable import printable


def say(text: str, *, end: str = "\n", flush: bool = False) -> None:
    """Print what a command answers, in one or more lines."""
    print(fit(text), end=end, flush=flush)


def note(text: str) -> None:
    """Print what a user should know besides, on standard error."""
    print(fit(text), file=sys.stderr, flush=True)


def complain(text: str) -> None:
    """Print why a command ends early, always in one line."""
    note(f"protoscore: error: {printable(text)}")


def say_crash(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
    """Print a traceback; `sys.excepthook` of a command's own process."""
    note("".join(traceback.format_exception(kind, error, where)).rstrip())
