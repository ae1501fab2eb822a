"""`protoscore evaluate classes`: does a metric rank examples, or whole classes?"""

from collections.abc import Sequence
from dataclasses import dataclass

from ray_jobs.evaluations.evaluating import evaluating
from ray_jobs.evaluations.published import PublishedFlags
from ray_jobs.terminal.console import parse_flags
from scoring.analysis import class_spread

_SHOWN = [
    *((tenth, measure) for tenth in ("1", "10") for measure in ("coverage", "largest_share")),
    ("all", "separation"),
]


@dataclass(frozen=True, kw_only=True)
class ClassesFlags(PublishedFlags):
    """Share of each class by tenths of each metric's ranking, and whether both ends hold all."""

    metrics: tuple[str, ...] = ()
    """Default: all that are published."""


def main(argv: Sequence[str], command: str) -> int:
    """Judge what is published."""
    flags = parse_flags(ClassesFlags, argv, "protoscore evaluate classes")
    snapshot = flags.snapshot()
    names = snapshot.current(flags.split).classes
    found = []
    for metric in flags.published(snapshot, "--metrics", flags.metrics):
        found += class_spread.findings(metric, snapshot.scores(flags.split, metric), names)
    with evaluating(snapshot.storage, snapshot.dataset, command) as evaluation:
        evaluation.tell(f"classes_{flags.split}", found, _SHOWN)
    return 0
