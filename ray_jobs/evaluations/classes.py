"""`protoscore evaluate classes`: does a metric rank examples, or whole classes?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from ray_jobs.evaluations.evaluating import evaluating
from ray_jobs.evaluations.published import PublishedFlags
from ray_jobs.terminal.console import parse_flags
from ray_jobs.terminal.shared_flags import by_default
from scoring.analysis import class_spread

_SHOWN = [
    *((tenth, measure) for tenth in ("1", "10") for measure in ("coverage", "largest_share")),
    ("all", "separation"),
]


@dataclass(frozen=True, kw_only=True)
class ClassesFlags(PublishedFlags):
    """Find whether a metric ranks examples or whole classes.

    Reports the share of each class in each tenth of a ranking, and whether both ends hold all
    classes.
    """

    metrics: Annotated[tuple[str, ...], by_default("all that are published")] = ()
    """Metrics to evaluate."""


def main(argv: Sequence[str], command: str) -> int:
    """Evaluate published rankings."""
    flags = parse_flags(ClassesFlags, argv, "protoscore evaluate classes")
    snapshot = flags.snapshot()
    names = snapshot.current(flags.split).classes
    findings = []
    for metric in flags.published(snapshot, "--metrics", flags.metrics):
        findings += class_spread.findings(metric, snapshot.scores(flags.split, metric), names)
    with evaluating(snapshot.storage, snapshot.dataset, command) as evaluation:
        evaluation.report(f"classes_{flags.split}", findings, _SHOWN)
    return 0
