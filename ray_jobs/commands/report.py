"""`protoscore report`: a folder of pages to look at, and to show around."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ray_jobs.terminal.console import default_store, parse_flags
from scoring.report import (
    MetricText,
    check_output,
    gather,
    local_path,
    take_snapshot,
    write_report,
)


@dataclass(frozen=True, kw_only=True)
class ReportFlags:
    """Every example of a dataset by every metric, with correlations, sets, evaluations and runs."""

    store: str = field(default_factory=default_store)
    """A folder or s3://bucket/prefix; default: PROTOSCORE_STORE, else ./store."""
    dataset: str | None = None
    """May be left out where only one is published."""
    output: str = "report"
    """The folder to write, or s3://bucket/prefix: new, empty, or an earlier report, which is
    replaced. Its index.html opens from disk, from object storage or from any web server."""
    at: str | None = None
    """The scores as they were: a version of `scores`, or a time like 2026-03-31T06:00 (UTC)."""


def main(argv: Sequence[str] | None = None) -> int:
    """Write the folder; returns the exit code."""
    flags = parse_flags(ReportFlags, argv, "protoscore report")
    output = flags.output.rstrip("/") or "/"
    check_output(output)
    snapshot = take_snapshot(flags.store, flags.dataset, flags.at)
    size = write_report(gather(snapshot, _texts(), datetime.now(UTC)), output)
    where = output if "://" in output else local_path(output)
    print(f"Report on {snapshot.dataset}, {size / 1e6:.1f} MB, to look at: {where}/index.html")
    return 0


def _texts() -> list[MetricText]:
    """What the metrics say of themselves."""
    from scoring.registry import metrics  # imports torch: seconds that bad flags need not wait for

    return [
        MetricText(
            name=spec.name,
            summary=spec.summary,
            unit=spec.unit,
            prototypical=spec.prototypical,
            source=spec.source,
        )
        for spec in metrics().values()
    ]
