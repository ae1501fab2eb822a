"""What every command shares: the default store, exit codes and one-line errors."""

import io
import os
import re
import shlex
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from itertools import dropwhile, takewhile
from typing import TypeVar

import tyro

from ray_jobs.terminal.say import note, say_crash
from ray_jobs.terminal.signals import ending_cleanly
from scoring.errors import InternalError, Terminated, UserError
from scoring.printable import printable
from scoring.secrets import without_secrets
from scoring.store.outages import known

_DEBUG = "PROTOSCORE_DEBUG"  # environment variable: let errors through, with their tracebacks
Main = Callable[[Sequence[str] | None], int]
Flags = TypeVar("Flags")

# tyro's words, and ours. A message that tyro words differently one day is shown as it stands.
_REWORDED = (
    (r"Missing value for argument '(.*)'\. Expected 1 values", r"\1: expected a value, got none"),
    (r"Missing from .*?: (\S+).*", r"\1: expected a value, got none"),
    (r"Unrecognized options: (.*)", r"unknown arguments: \1"),
    (r"invalid literal for int\(\) with base 10: (.*)", r"expected a whole number, got \1"),
    (r"could not convert string to float: (.*)", r"expected a number, got \1"),
    (r"no type matching (\S+) could be instantiated from \[(.*)\]", r"expected \1, got \2"),
    (r"Error parsing (.*)", r"\1"),
)
_INVALID_CHOICE = (
    r"invalid choice (?P<got>.*) for argument '(?P<flag>.*)'\. Expected one of (?P<known>.*)"
)


def default_store() -> str:
    """Return `PROTOSCORE_STORE`, or the folder ./store."""
    return os.environ.get("PROTOSCORE_STORE") or "./store"


def command_line(command: str, args: Sequence[str]) -> str:
    """Return a command as jobs, nights and findings record it: what was typed, less credentials.

    Args:
        command: its name, such as "rescore".
        args: its arguments.
    """
    return shlex.join(["protoscore", command, *map(without_secrets, args)])


def run_job(main: Main, argv: Sequence[str] | None = None) -> int:
    """Run a command; turn each error into one line and an exit code.

    Args:
        main: takes the arguments and returns the exit code.
        argv: None: the process's own arguments.
    """
    try:
        with ending_cleanly():
            code = main(argv)
            sys.stdout.flush()
    except BrokenPipeError:
        # The reader, such as `head`, has stopped; keep Python from flushing the rest at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt as error:
        note(f"protoscore: {_stopped_by(error)}")
        return exit_code(error)
    except Exception as error:
        if os.environ.get(_DEBUG):
            sys.excepthook = say_crash
            raise
        note(printable(f"protoscore: {_said(error)}"))
        return exit_code(error)
    return code


def exit_code(error: BaseException) -> int:
    """Return the exit code of a command that ends with an error."""
    if isinstance(error, KeyboardInterrupt):
        return 143 if isinstance(error, Terminated) else 130
    ours = known(error)
    return ours.exit_code if ours else 1


def _stopped_by(error: KeyboardInterrupt) -> str:
    return "terminated" if isinstance(error, Terminated) else "interrupted"


def _said(error: Exception) -> str:
    if ours := known(error):
        return f"error: {ours}"
    what = str(error) if isinstance(error, InternalError) else type(error).__name__
    return f"internal error: {what}; please report it with {_written_down(error)}"


def _written_down(error: Exception) -> str:
    """Write the full text of an error to a file of its own; return where it is.

    It may hold what is secret, so it goes neither to the log nor where others can read it.
    """
    text = "".join(traceback.format_exception(error))
    try:
        descriptor, path = tempfile.mkstemp(prefix="protoscore-error-", suffix=".txt")
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
    except OSError as full:
        return f"what {_DEBUG}=1 makes it print ({full.strerror})"
    return f"{path} ({_DEBUG}=1 prints it)"


def parse_flags(
    kind: type[Flags], argv: Sequence[str] | None, prog: str, description: str | None = None
) -> Flags:
    """Parse a command line.

    tyro has no public way to hand over an error (its `get_parser` is deprecated, the hook in
    `tyro._errors` private), so the error is read from the box that it prints.

    Args:
        kind: the dataclass that declares the flags.
        argv: None: the process's own arguments.
        prog: the command as the user types it.
        description: the first lines of the help; default: the dataclass's docstring.

    Raises:
        UserError: an unknown flag, or a value that does not fit.
    """
    printed = io.StringIO()
    try:
        with redirect_stderr(printed):
            return tyro.cli(
                kind,
                args=argv,
                prog=prog,
                description=description,
                config=(tyro.conf.DisallowNone,),
            )
    except SystemExit as stop:
        if stop.code:
            raise UserError(f"{_one_line(printed.getvalue())} (see {prog} --help)") from None
        raise


def _one_line(box: str) -> str:
    """Return the first paragraph of tyro's box, and its first guess at a misspelt flag."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", box)
    rows = [line.strip("│ ") for line in plain.splitlines()[1:]]  # below the title
    message = " ".join(takewhile(lambda row: not _is_rule(row), dropwhile(_is_rule, rows)))
    message = re.sub(_INVALID_CHOICE, _known_choices, message.rstrip("."))
    for pattern, better in _REWORDED:
        message = re.sub(pattern, better, message)
    guess = re.search(r"^(Perhaps you meant|Arguments similar to .*):\n(.*)", "\n".join(rows), re.M)
    return f"{message}; perhaps you meant {guess[2]}" if guess else message


def _known_choices(invalid: re.Match[str]) -> str:
    known = sorted(name for name in re.findall(r"'(.*?)'", invalid["known"]) if name != "None")
    return f"{invalid['flag']}: expected one of {', '.join(known)}, got {invalid['got']}"


def _is_rule(row: str) -> bool:
    return not row.strip("─-╰╯")
