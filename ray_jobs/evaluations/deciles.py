"""`protoscore evaluate deciles`: error rate by tenths of each metric's ranking."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from ray_jobs.evaluations.evaluating import evaluating
from ray_jobs.evaluations.published import PublishedFlags
from ray_jobs.terminal.console import parse_flags
from ray_jobs.terminal.shared_flags import by_default
from scoring.analysis import error_by_tenth
from scoring.errors import UserError
from scoring.store.keys import Split


@dataclass(frozen=True, kw_only=True)
class DecilesFlags(PublishedFlags):
    """Find how often the classifier is wrong in each tenth of a ranking, most outlying first."""

    split: Split = "test"
    """Split to evaluate. The classifier was trained on the labels of train."""
    metrics: Annotated[tuple[str, ...], by_default("all that are published")] = ()
    """Metrics to evaluate."""


def main(argv: Sequence[str], command: str) -> int:
    """Evaluate published rankings."""
    flags = parse_flags(DecilesFlags, argv, "protoscore evaluate deciles")
    snapshot = flags.snapshot()
    findings = []
    for metric in flags.published(snapshot, "--metrics", flags.metrics):
        errors = error_by_tenth.errors_by_tenth(snapshot.scores(flags.split, metric))
        if errors:
            findings += error_by_tenth.findings(metric, errors)
    if not findings:
        raise UserError(f"--split: expected labelled rows, got none in {flags.split}")
    columns = [(part, "error_rate") for part in error_by_tenth.PARTS]
    with evaluating(snapshot.storage, snapshot.dataset, command) as evaluation:
        evaluation.report(f"deciles_{flags.split}", findings, columns)
    return 0
