"""`protoscore evaluate deciles`: error rate by tenths of each metric's ranking."""

from collections.abc import Sequence
from dataclasses import dataclass

from ray_jobs.evaluations.evaluating import evaluating
from ray_jobs.evaluations.published import PublishedFlags
from ray_jobs.terminal.console import parse_flags
from scoring.analysis import error_by_tenth
from scoring.errors import UserError
from scoring.store.keys import Split


@dataclass(frozen=True, kw_only=True)
class DecilesFlags(PublishedFlags):
    """Error rate by tenths of each metric's ranking, the most outlying first."""

    split: Split = "test"
    """Of the training split the classifier has seen the labels."""
    metrics: tuple[str, ...] = ()
    """Default: all that are published."""


def main(argv: Sequence[str], command: str) -> int:
    """Judge what is published."""
    flags = parse_flags(DecilesFlags, argv, "protoscore evaluate deciles")
    snapshot = flags.snapshot()
    found = []
    for metric in flags.published(snapshot, "--metrics", flags.metrics):
        errors = error_by_tenth.errors_by_tenth(snapshot.scores(flags.split, metric))
        if errors:
            found += error_by_tenth.findings(metric, errors)
    if not found:
        raise UserError(f"--split: expected labelled rows, got none in {flags.split}")
    columns = [(part, "error_rate") for part in error_by_tenth.PARTS]
    with evaluating(snapshot.storage, snapshot.dataset, command) as evaluation:
        evaluation.tell(f"deciles_{flags.split}", found, columns)
    return 0
