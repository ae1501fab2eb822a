"""`protoscore report`: one HTML page to look at, and to show around."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ray_jobs.console import default_store, parse_flags, run_job
from ray_jobs.formats import write_whole
from scoring.errors import UserError
from scoring.report import MetricText, build, render, take_snapshot


@dataclass(frozen=True, kw_only=True)
class ReportFlags:
    """The ends of every class, correlations, errors, runs and nights of a dataset, on one page."""

    store: str = field(default_factory=default_store)
    """A folder or s3://bucket/prefix; default: PROTOSCORE_STORE, else ./store."""
    dataset: str | None = None
    """May be left out where only one is published."""
    output: str = "report.html"
    """The page to write: one file that needs nothing else."""
    at: str | None = None
    """The scores as they were: a version of `scores`, or a time like 2026-03-31T06:00 (UTC)."""


def main(argv: Sequence[str] | None = None) -> int:
    """Write the page; returns the exit code."""
    flags = parse_flags(ReportFlags, argv, "protoscore report")
    output = Path(flags.output).expanduser().absolute()
    if output.is_dir() or not output.parent.is_dir():
        raise UserError(f"--output: expected a file in a folder that exists, got {flags.output!r}")
    snapshot = take_snapshot(flags.store, flags.dataset, flags.at)
    page = render(build(snapshot, _texts())).encode()
    write_whole(output, page, "--output")
    print(f"Report on {snapshot.dataset}, {len(page) / 1e6:.1f} MB, to look at: {output}")
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


if __name__ == "__main__":
    sys.exit(run_job(main))
