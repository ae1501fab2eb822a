"""What all commands share at the terminal: the default store, exit codes, one-line errors."""

import os
import sys
from collections.abc import Callable, Sequence

from scoring.errors import ProtoscoreError

Main = Callable[[Sequence[str] | None], int]


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
