"""What all commands share at the terminal: the default store, exit codes, one-line errors."""

import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from itertools import dropwhile, takewhile
from typing import TypeVar

import tyro

from scoring.errors import ProtoscoreError, UserError

Main = Callable[[Sequence[str] | None], int]
Flags = TypeVar("Flags")


def default_store() -> str:
    """`PROTOSCORE_STORE`, or the folder ./store."""
    return os.environ.get("PROTOSCORE_STORE") or "./store"


def run_job(main: Main, argv: Sequence[str] | None = None) -> int:
    """Run a command and turn what it raises on purpose into one line and an exit code.

    Args:
        main: takes the arguments, returns the exit code.
        argv: None: those of the process.
    """
    try:
        code = main(argv)
        sys.stdout.flush()
    except ProtoscoreError as error:
        print(f"protoscore: error: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # The reader (`head`, say) has seen enough; Python must not try to flush the rest at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("protoscore: interrupted", file=sys.stderr)
        return 130
    return code


def parse_flags(
    kind: type[Flags], argv: Sequence[str] | None, prog: str, description: str | None = None
) -> Flags:
    """Parse a command line by `tyro`, whose boxed complaint becomes one line like any other.

    Args:
        kind: the dataclass that declares the flags.
        argv: None: those of the process.
        prog: the command, as the user calls it.
        description: what the help says first; default: the dataclass's docstring.

    Raises:
        UserError: an unknown flag, or a value that does not fit.
    """
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            return tyro.cli(kind, args=argv, prog=prog, description=description)
    except SystemExit as stop:
        if stop.code:
            raise UserError(f"{_unboxed(said.getvalue())} (see {prog} --help)") from None
        raise


def _unboxed(box: str) -> str:
    """The first paragraph below a box's title, and the flag that tyro takes for the one meant."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", box)
    rows = [line.strip("│ ") for line in plain.splitlines()[1:]]
    said = " ".join(takewhile(lambda row: not _is_rule(row), dropwhile(_is_rule, rows)))
    said = said.removeprefix("Error parsing ").rstrip(".")
    hint = "Perhaps you meant:"
    return f"{said}; perhaps you meant {rows[rows.index(hint) + 1]}" if hint in rows else said


def _is_rule(row: str) -> bool:
    return not row.strip("─-╰╯")
