"""`protoscore history`: the nights of a store, newest first."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import pyarrow as pa
import tyro

from ray_jobs.terminal.console import parse_flags
from ray_jobs.terminal.shared_flags import TableFlags
from scoring.errors import UserError
from scoring.secrets import without_secrets
from scoring.tables import Store

_NIGHTS = """
    select date, commit_version as version, night_id, dataset, metrics, rows, runs_trained,
           runs_reused, shards_scored, shards_reused, corrected, excluded,
           round(test_accuracy, 4) as test_accuracy, round(seconds, 1) as seconds, command
    from nights order by started_at desc, night_id limit {n:d}
"""


@dataclass(frozen=True, kw_only=True)
class HistoryFlags:
    """List the nights of a store, newest first: what each made and published.

    corrected and excluded count the rows whose labels are not the source's. test_accuracy is the
    share of labelled test rows that are predicted as labelled that night.
    """

    n: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 30
    """Number of nights to list."""
    table: tyro.conf.OmitArgPrefixes[TableFlags] = field(default_factory=TableFlags)


def main(argv: Sequence[str] | None = None) -> int:
    """List the nights."""
    flags = parse_flags(HistoryFlags, argv, "protoscore history")
    if flags.n < 0:
        raise UserError(f"-n: expected 0 or more rows, got {flags.n}")
    nights = Store(flags.table.store).sql(_NIGHTS.format(n=flags.n))
    flags.table.show(_without_secrets(nights))
    return 0


def _without_secrets(nights: pa.Table) -> pa.Table:
    """Strike credentials out of commands that an earlier protoscore recorded as they were typed."""
    commands = [without_secrets(command) for command in nights["command"].to_pylist()]
    index = nights.column_names.index("command")
    return nights.set_column(index, "command", pa.array(commands, pa.string()))
