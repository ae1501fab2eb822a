"""`protoscore check`: hold the newest night against expectations."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from ray_jobs.checks import gauges
from ray_jobs.checks.expectations import Expectations, judge, table
from ray_jobs.checks.facts import gather
from ray_jobs.terminal.console import parse_flags
from ray_jobs.terminal.shared_flags import PublishedDataset, TableFlags, by_default
from ray_jobs.terminal.tables import write_whole

EXPECTATION_FAILED = 1
"""Exit code; the others are those of `scoring.errors`."""


@dataclass(frozen=True, kw_only=True)
class CheckFlags:
    """Hold the newest night of a dataset against expectations, for a scheduler.

    Prints a line for each expectation. Exit code 0: all hold; 1: one failed. What needs a night
    before is skipped if there is none. Reads published tables only, and trains and scores nothing.
    """

    dataset: PublishedDataset = None
    metrics: Annotated[tuple[str, ...], by_default("all")] = ()
    """Metrics whose rankings count."""
    expect: tyro.conf.OmitArgPrefixes[Expectations] = field(default_factory=Expectations)
    prometheus: Annotated[str, by_default("none")] = ""
    """File for gauges in Prometheus's text format, as node_exporter's textfile collector reads."""
    pushgateway: Annotated[str, by_default("none")] = ""
    """Pushgateway to send the gauges to, such as http://pushgateway:9091."""
    table: tyro.conf.OmitArgPrefixes[TableFlags] = field(default_factory=TableFlags)


def main(argv: Sequence[str] | None = None) -> int:
    """Judge the newest night."""
    flags = parse_flags(CheckFlags, argv, "protoscore check")
    flags.expect.check()
    facts = gather(flags.table.store, flags.dataset, flags.metrics)
    verdicts = judge(facts, flags.expect)
    if flags.table.format or flags.table.output:
        flags.table.show(table(verdicts))
    else:
        sys.stdout.writelines(f"{verdict}\n" for verdict in verdicts)
    if flags.prometheus or flags.pushgateway:
        found = gauges.registry(facts, flags.expect, verdicts)
        if flags.prometheus:
            write_whole(Path(flags.prometheus), gauges.as_text(found), "--prometheus")
        if flags.pushgateway:
            gauges.push(found, flags.pushgateway, facts.dataset)
    failed = any(verdict.verdict == "failed" for verdict in verdicts)
    return EXPECTATION_FAILED if failed else 0
