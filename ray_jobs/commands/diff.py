"""`protoscore diff`: compare two nights."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro

from ray_jobs.terminal.console import parse_flags
from ray_jobs.terminal.shared_flags import TableFlags, by_default
from scoring.errors import UserError
from scoring.store.keys import Split
from scoring.tables import Store


@dataclass(frozen=True, kw_only=True)
class DiffFlags:
    """Compare two nights: changed labels, how each metric's ranks agree, which examples moved most.

    Of the labels it says how many were corrected, excluded or given back, and how many test rows
    were predicted as labelled before and after.
    """

    before: Annotated[str, tyro.conf.arg(name="from")]
    """Earlier night: a date such as 2026-03-31, a UTC time, or a version of the scores."""
    after: Annotated[str | None, tyro.conf.arg(name="to"), by_default("now")] = None
    """Later night, in the same forms."""
    dataset: Annotated[str | None, by_default("all")] = None
    """Compare only this dataset."""
    split: Annotated[Split | None, by_default("both")] = None
    """Compare only this split."""
    metric: Annotated[str | None, by_default("all")] = None
    """Compare only this metric."""
    n: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 20
    """Number of examples to show."""
    show: Literal["both", "labels", "metrics", "examples"] = "both"
    """Tables to show; choose one to use --output or --format.
    both: metrics and examples, and labels if any has changed."""
    table: tyro.conf.OmitArgPrefixes[TableFlags] = field(default_factory=TableFlags)


def main(argv: Sequence[str] | None = None) -> int:
    """Compare two nights."""
    flags = parse_flags(DiffFlags, argv, "protoscore diff")
    if flags.show == "both" and (flags.table.output or flags.table.format not in (None, "table")):
        raise UserError(
            "--show: expected labels, metrics or examples with --output or --format, got both"
        )
    store = Store(flags.table.store)
    only = {"dataset": flags.dataset, "split": flags.split, "metric": flags.metric}
    if flags.show in ("both", "labels"):
        relabelled = store.relabelled(
            flags.before, flags.after, dataset=flags.dataset, split=flags.split
        )
        if len(relabelled) or flags.show == "labels":
            flags.table.show(relabelled)
    if flags.show in ("both", "metrics"):
        flags.table.show(store.agreement(flags.before, flags.after, **only))
    if flags.show in ("both", "examples"):
        flags.table.show(store.moved(flags.before, flags.after, **only, n=flags.n))
    return 0
