"""`protoscore history`: the nights of a store, the last one first."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import tyro

from ray_jobs.terminal.console import default_store, parse_flags
from ray_jobs.terminal.tables import Format, show
from scoring.errors import UserError
from scoring.tables import Store

_NIGHTS = """
    select date, commit_version as version, night_id, dataset, metrics, rows, runs_trained,
           runs_reused, shards_scored, shards_reused, round(seconds, 1) as seconds, command
    from nights order by started_at desc, night_id limit {n:d}
"""


@dataclass(frozen=True, kw_only=True)
class HistoryFlags:
    """What each published night made, and as which version of `scores`."""

    n: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 30
    """How many nights."""
    store: str = field(default_factory=default_store)
    """A folder or s3://bucket/prefix; default: PROTOSCORE_STORE, else ./store."""
    format: Format | None = None
    """Default: what the suffix of --output says, else table."""
    output: str = ""
    """A file to write to; default: standard output."""


def main(argv: Sequence[str] | None = None) -> int:
    """List the nights."""
    flags = parse_flags(HistoryFlags, argv, "protoscore history")
    if flags.n < 0:
        raise UserError(f"-n: expected 0 or more rows, got {flags.n}")
    show(Store(flags.store).sql(_NIGHTS.format(n=flags.n)), flags.format, flags.output)
    return 0
