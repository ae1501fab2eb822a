"""`protoscore report`: a folder of pages to browse and share."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated

from ray_jobs.jobs.destination_lease import writing_into
from ray_jobs.terminal.console import command_line, default_store, parse_flags
from ray_jobs.terminal.say import say
from ray_jobs.terminal.shared_flags import At, PublishedDataset, StoreUri, by_default
from scoring.declared import declared
from scoring.report import (
    MetricInfo,
    check_output,
    gather,
    local_path,
    take_snapshot,
    write_report,
)


@dataclass(frozen=True, kw_only=True)
class ReportFlags:
    """Write a report: pages of every example by every metric, correlations, sets and runs.

    Open its index.html from disk, object storage or any web server.
    """

    output: str = "report"
    """Folder or s3://bucket/prefix: new, empty or an earlier report, which is replaced."""
    images: bool = True
    """Show the examples themselves, images or texts; --no-images leaves them out."""
    explained: Annotated[str, by_default("no link")] = ""
    """Page of protoscore explain to link explained examples to, by its address as seen from the
    report."""
    dataset: PublishedDataset = None
    at: At = None
    store: StoreUri = field(default_factory=default_store)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the folder; return the exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    flags = parse_flags(ReportFlags, args, "protoscore report")
    output = flags.output.rstrip("/") or "/"
    check_output(output)
    snapshot = take_snapshot(flags.store, flags.dataset, flags.at)
    command = command_line("report", args)
    with writing_into(
        snapshot.storage, output, "report", command=command, dataset=snapshot.dataset
    ):
        gathered = gather(snapshot, _metric_infos(), datetime.now(UTC))
        size = write_report(gathered, output, images=flags.images, explained=flags.explained)
    where = output if "://" in output else local_path(output)
    say(f"Report on {snapshot.dataset}, {size / 1e6:.1f} MB: open {where}/index.html")
    return 0


def _metric_infos() -> list[MetricInfo]:
    """Describe every metric."""
    return [
        MetricInfo(
            name=metric.metric,
            summary=metric.summary,
            unit=metric.unit,
            prototypical=metric.direction,
            ranked_by=metric.ranked_by,
            source=metric.source,
            purpose=metric.purpose,
        )
        for metric in declared().values()
    ]
