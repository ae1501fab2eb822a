"""`protoscore diff`: what moved between two nights."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro

from ray_jobs.terminal.console import default_store, parse_flags
from ray_jobs.terminal.tables import Format, show
from scoring.errors import UserError
from scoring.store.keys import Split
from scoring.tables import Store


@dataclass(frozen=True, kw_only=True)
class DiffFlags:
    """How each metric of two nights agrees (Spearman), and the examples that moved most."""

    before: Annotated[str, tyro.conf.arg(name="from")]
    """A date like 2026-03-31 (what its night left), a version of `scores`, or a time."""
    after: Annotated[str | None, tyro.conf.arg(name="to")] = None
    """The same; default: now."""
    dataset: str | None = None
    """Only this dataset."""
    split: Split | None = None
    """Only this split."""
    metric: str | None = None
    """Only this metric."""
    n: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 20
    """How many examples."""
    show: Literal["both", "metrics", "examples"] = "both"
    """Which of the two tables; a file or a program takes one of them."""
    store: str = field(default_factory=default_store)
    """A folder or s3://bucket/prefix; default: PROTOSCORE_STORE, else ./store."""
    format: Format | None = None
    """Default: what the suffix of --output says, else table."""
    output: str = ""
    """A file to write to; default: standard output."""


def main(argv: Sequence[str] | None = None) -> int:
    """Compare two nights."""
    flags = parse_flags(DiffFlags, argv, "protoscore diff")
    if flags.show == "both" and (flags.output or flags.format not in (None, "table")):
        raise UserError("--show: expected metrics or examples with --output or --format, got both")
    store = Store(flags.store)
    only = {"dataset": flags.dataset, "split": flags.split, "metric": flags.metric}
    if flags.show != "examples":
        agreement = store.agreement(flags.before, flags.after, **only)
        show(agreement, flags.format, flags.output)
    if flags.show != "metrics":
        moved = store.moved(flags.before, flags.after, **only, n=flags.n)
        show(moved, flags.format, flags.output)
    return 0
