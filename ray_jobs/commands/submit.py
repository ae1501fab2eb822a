"""Run a command on a Ray cluster, follow its log, and end as it ends.

    protoscore submit --address http://head:8265 rescore --store s3://bucket/prefix ...

The same command on the same day joins the attempt that is running; a new attempt is made only if
the last one failed. The exit code is the job's own.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ray_jobs.commands import COMMANDS
from ray_jobs.terminal.console import parse_flags
from scoring.errors import UnknownName, UserError


@dataclass(frozen=True, kw_only=True)
class SubmitFlags:
    """Flags of submit stand before the job's name, the job's own flags behind it."""

    address: str | None = None
    """The cluster's job server, http://HOST:8265; default: RAY_API_SERVER_ADDRESS, RAY_ADDRESS."""
    working_dir: str = ""
    """Send this folder along and run there: a checkout, or one with nets of your own; default: the
    cluster's installed protoscore."""
    no_wait: bool = False
    """Return once the job is submitted."""
    again: bool = False
    """Make a new attempt though the last one succeeded: the data has changed since."""


def main(argv: Sequence[str] | None = None) -> int:
    """Submit a command; returns its exit code."""
    from ray_jobs.jobs.submission import submit  # imports Ray

    args = list(sys.argv[1:] if argv is None else argv)
    known = [name for name in COMMANDS if name != "submit"]
    at = next((i for i, arg in enumerate(args) if arg in known), len(args))
    flags = parse_flags(SubmitFlags, args[:at], "protoscore submit", __doc__)
    if at == len(args):
        raise UnknownName("command", "none", known)
    if flags.working_dir and not Path(flags.working_dir).is_dir():
        raise UserError(f"--working-dir: expected a folder, got {flags.working_dir!r}")
    return submit(
        args[at:],
        address=flags.address,
        working_dir=flags.working_dir,
        wait=not flags.no_wait,
        again=flags.again,
    )
