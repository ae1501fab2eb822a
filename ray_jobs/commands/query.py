"""`protoscore query`: SQL over the published tables."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import tyro

from ray_jobs.terminal.console import default_store, parse_flags
from ray_jobs.terminal.tables import Format, show
from scoring.tables import Store


@dataclass(frozen=True, kw_only=True)
class QueryFlags:
    """Ask the views `scores`, `runs` and `nights` in DuckDB's SQL."""

    query: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="SQL")]
    """For example: "select metric, avg(value) from scores group by metric"."""
    store: str = field(default_factory=default_store)
    """A folder or s3://bucket/prefix; default: PROTOSCORE_STORE, else ./store."""
    format: Format | None = None
    """Default: what the suffix of --output says, else table."""
    output: str = ""
    """A file to write to; default: standard output."""
    at: str | None = None
    """The tables as they were: a version of `scores`, or a time like 2026-03-31T06:00 (UTC)."""


def main(argv: Sequence[str] | None = None) -> int:
    """Answer one query."""
    flags = parse_flags(QueryFlags, argv, "protoscore query")
    show(Store(flags.store).sql(flags.query, at=flags.at), flags.format, flags.output)
    return 0
