"""The verdict on labels, in a line for each split."""

from collections.abc import Mapping

from ray_jobs.jobs.progress import counted
from scoring.analysis.verdict import Estimate


def verdict_lines(dataset: str, estimates: Mapping[str, Estimate]) -> list[str]:
    """Say how many labels are wrong, by split, and how sure that is."""
    return [f"Labels of {dataset}, {split}: {_said(e)}" for split, e in estimates.items()]


def _said(estimate: Estimate) -> str:
    count = f"about {estimate.wrong:,.0f} of {estimate.rows:,} wrong"
    interval = f"90 % interval {estimate.low:,.0f} to {estimate.high:,.0f}"
    if not estimate.suspects:
        return f"{count} ({interval}); none more likely wrong than right"
    return (
        f"{count} ({interval}); {counted(estimate.suspects, 'suspect')}, "
        f"{estimate.precision:.0%} of them wrong"
    )
