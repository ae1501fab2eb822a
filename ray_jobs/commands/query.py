"""`protoscore query`: SQL on the published tables."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import tyro

from ray_jobs.terminal.console import parse_flags
from ray_jobs.terminal.shared_flags import At, TableFlags
from scoring.tables import Store


@dataclass(frozen=True, kw_only=True)
class QueryFlags:
    """Run SQL, in DuckDB's dialect, on the published tables.

    Tables: scores, classes, metrics, nights, runs, evaluations, probabilities, issues, verdicts,
    example_sets, representers, representer_models. "show tables" lists them, "describe scores"
    lists the columns of one.
    """

    query: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="SQL")]
    """For example: "select metric, avg(value) from scores group by metric"."""
    at: At = None
    unsafe: bool = False
    """Let the query do all that DuckDB can: read and write your files, install extensions. Without
    it, a query can read the tables, and nothing else."""
    table: tyro.conf.OmitArgPrefixes[TableFlags] = field(default_factory=TableFlags)


def main(argv: Sequence[str] | None = None) -> int:
    """Answer one query."""
    flags = parse_flags(QueryFlags, argv, "protoscore query")
    flags.table.show(Store(flags.table.store).sql(flags.query, at=flags.at, unsafe=flags.unsafe))
    return 0
