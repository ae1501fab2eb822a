"""`protoscore status`: the jobs of a store, newest first."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import tyro

from ray_jobs.jobs.status import job_table
from ray_jobs.terminal.console import parse_flags
from ray_jobs.terminal.shared_flags import TableFlags
from scoring.errors import UserError
from scoring.store.storage import Storage


@dataclass(frozen=True, kw_only=True)
class StatusFlags:
    """List the jobs that write to a store: stage, progress and ETA, or how they ended."""

    n: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 10
    """Number of jobs to list; live ones are always listed."""
    table: tyro.conf.OmitArgPrefixes[TableFlags] = field(default_factory=TableFlags)


def main(argv: Sequence[str] | None = None) -> int:
    """List jobs."""
    flags = parse_flags(StatusFlags, argv, "protoscore status")
    if flags.n < 0:
        raise UserError(f"-n: expected 0 or more rows, got {flags.n}")
    storage = Storage(flags.table.store)
    storage.check(writable=False)
    flags.table.show(job_table(storage, flags.n))
    return 0
