"""`protoscore metrics`: what each metric is for, and what its values mean."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import tyro
from pyarrow.json import read_json

from ray_jobs.terminal.console import parse_flags
from ray_jobs.terminal.shared_flags import OutputFlags
from scoring.declared import FILE


@dataclass(frozen=True, kw_only=True)
class MetricsFlags:
    """List the metrics: what each is for, what it measures, and what it is ranked by.

    The purposes are label errors, hard, atypical, privacy and robustness.
    """

    table: tyro.conf.OmitArgPrefixes[OutputFlags] = field(default_factory=OutputFlags)


def main(argv: Sequence[str] | None = None) -> int:
    """List every metric, those of a purpose together."""
    flags = parse_flags(MetricsFlags, argv, "protoscore metrics")
    metrics = read_json(FILE)
    flags.table.show(metrics.sort_by([("purpose", "ascending"), ("metric", "ascending")]))
    return 0
