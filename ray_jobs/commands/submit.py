"""Run a command on a Ray cluster, follow its log, and exit with its exit code.

    protoscore submit --address http://head:8265 rescore --store s3://bucket/prefix ...

The same command on the same day joins the attempt that is running. A new attempt is made only if
the last one failed.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Annotated

from ray_jobs.commands import COMMANDS
from ray_jobs.terminal.console import parse_flags
from ray_jobs.terminal.shared_flags import by_default
from scoring.errors import UnknownName, UserError

_MISPLACED = {"benchmarks", "docs", "examples", "tests"}
"""Folders that packages install by mistake; checkouts have them too."""


@dataclass(frozen=True, kw_only=True)
class SubmitFlags:
    """Give these flags before the command's name, and the command's own flags after it."""

    address: Annotated[str | None, by_default("$RAY_API_SERVER_ADDRESS, else $RAY_ADDRESS")] = None
    """The cluster's job server, such as http://HOST:8265."""
    working_dir: Annotated[str, by_default("the cluster's installed protoscore")] = ""
    """Folder to send along and run in, such as a checkout or a folder with your own nets.
    Workers import from it before anything else, so it must hide no installed module."""
    no_wait: bool = False
    """Return once the job is submitted."""
    again: bool = False
    """Make a new attempt even if the last one succeeded, because the data has changed since."""


def main(argv: Sequence[str] | None = None) -> int:
    """Submit a command; return its exit code."""
    from ray_jobs.jobs.submission import submit  # imports Ray

    args = list(sys.argv[1:] if argv is None else argv)
    known = [name for name in COMMANDS if name != "submit"]
    at = next((i for i, arg in enumerate(args) if arg in known), len(args))
    flags = parse_flags(SubmitFlags, args[:at], "protoscore submit", __doc__)
    if at == len(args):
        raise UnknownName("command", "none", known)
    if flags.working_dir:
        _check_working_dir(Path(flags.working_dir))
    return submit(
        args[at:],
        address=flags.address,
        working_dir=flags.working_dir,
        wait=not flags.no_wait,
        again=flags.again,
    )


def _check_working_dir(folder: Path) -> None:
    """Refuse a folder that would replace Python's or installed modules: Ray imports from it first.

    Raises:
        UserError: naming what is in the way.
    """
    if not folder.is_dir():
        raise UserError(f"--working-dir: expected a folder, got {str(folder)!r}")
    ours = {"protoscore", "ray_jobs", "scoring"}
    taken = (sys.stdlib_module_names | packages_distributions().keys()) - ours - _MISPLACED
    for path in sorted(folder.iterdir()):
        is_module = path.suffix in {".py", ".so"} or (path / "__init__.py").is_file()
        if is_module and path.name.partition(".")[0] in taken:
            raise UserError(
                f"--working-dir: expected no module in {folder} that hides an installed one, got "
                f"{path.name}"
            )
