"""`protoscore evaluate correlations`: do metrics agree, overall and at the ends of each class?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from ray_jobs.evaluations.evaluating import evaluating, note_left_out
from ray_jobs.evaluations.published import PublishedFlags
from ray_jobs.terminal.console import parse_flags
from ray_jobs.terminal.shared_flags import by_default
from scoring import registry
from scoring.analysis import agreement
from scoring.analysis.joined_scores import read_joined_scores
from scoring.analysis.points import pair_points
from scoring.errors import UnknownName, UserError


@dataclass(frozen=True, kw_only=True)
class CorrelationsFlags(PublishedFlags):
    """Find how far metrics agree, overall and at the ends of each class.

    Reports Pearson's and Spearman's correlations of metrics, and Jaccard distances between the
    lowest and the highest examples of each class by each metric.
    """

    metrics: Annotated[tuple[str, ...], by_default("all that are published")] = ()
    """Metrics to compare."""
    percent: float = 25.0
    """Percentage of a class that counts as its lowest, and as its highest, examples."""
    pair: Annotated[tuple[str, str] | None, by_default("none")] = None
    """Two of the metrics, to draw against each other in the report."""

    def check(self) -> None:
        """Refuse what can be refused from the flags alone.

        Raises:
            UserError: naming the flag.
        """
        if not 0 < self.percent <= 50:
            raise UserError(
                f"--percent: expected a number above 0 and up to 50, got {self.percent}"
            )
        if self.pair and self.pair[0] == self.pair[1]:
            raise UserError(f"--pair: expected two metrics, got {self.pair[0]} twice")


def main(argv: Sequence[str], command: str) -> int:
    """Compare published rankings."""
    flags = parse_flags(CorrelationsFlags, argv, "protoscore evaluate correlations")
    flags.check()
    snapshot = flags.snapshot()
    metrics = flags.published(snapshot, "--metrics", flags.metrics)
    if len(metrics) < 2:
        raise UserError(f"--metrics: expected two or more to compare, got {metrics[0]} alone")
    for metric in flags.pair or ():
        if metric not in metrics:
            raise UnknownName("--pair", metric, metrics)
    scores = read_joined_scores(snapshot, flags.split, metrics)
    note_left_out(scores)
    oriented = {name: registry.metric(name).oriented(v) for name, v in scores.value.items()}
    findings = agreement.findings(scores, oriented, flags.percent)
    columns = list(dict.fromkeys((finding.part, finding.measure) for finding in findings))
    with evaluating(snapshot.storage, snapshot.dataset, command) as evaluation:
        evaluation.report(f"correlations_{flags.split}", findings, columns)
        if flags.pair:
            points = pair_points(scores, flags.pair, snapshot.current(flags.split).classes)
            evaluation.publish(f"pair_{flags.split}", points)
    return 0
