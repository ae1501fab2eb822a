"""`protoscore <command>`: the only entry point.

A command's module is imported only when it is chosen, so help and queries are quick.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version

from ray_jobs.commands import COMMANDS
from ray_jobs.terminal.console import run_job
from ray_jobs.terminal.say import complain, say
from scoring.allowed_nets import forget_allowed_nets


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that the first argument names; return its exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    forget_allowed_nets()  # the command's own flags allow them
    if not args or args[0] in {"-h", "--help"}:
        say(_help())
        return 0
    if args[0] == "--version":
        say(f"protoscore {version('protoscore')}")
        return 0
    if not _is_text(args):
        complain(f"expected arguments in UTF-8, got {' '.join(args)!r}")
        return 2
    if args[0] not in COMMANDS:
        known = ", ".join(COMMANDS)
        complain(f"expected one of {known}, got {args[0]!r}")
        return 2
    return run_job(import_module(f"ray_jobs.commands.{args[0]}").main, args[1:])


def _is_text(args: Sequence[str]) -> bool:
    """Whether all arguments can be written down: other bytes than UTF-8 become half characters."""
    try:
        "".join(args).encode()
    except UnicodeEncodeError:
        return False
    return True


def _help() -> str:
    lines = [f"  {name:<11} {summary}" for name, summary in COMMANDS.items()]
    return "\n".join(
        [
            "usage: protoscore <command> [flags]",
            "",
            "Score every example of a labelled dataset: how prototypical it is, how hard, and why.",
            "",
            "commands:",
            *lines,
            "",
            "protoscore <command> --help lists a command's flags.",
            "To try it, run protoscore rescore: it scores scikit-learn's digits into ./store.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
