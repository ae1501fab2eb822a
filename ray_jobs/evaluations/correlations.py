"""`protoscore evaluate correlations`: do metrics agree, overall and at the ends of each class?"""

from collections.abc import Sequence
from dataclasses import dataclass

from ray_jobs.evaluations.evaluating import evaluating, note_left_out
from ray_jobs.evaluations.published import PublishedFlags
from ray_jobs.terminal.console import parse_flags
from scoring import registry
from scoring.analysis import agreement
from scoring.analysis.joined_scores import read_joined_scores
from scoring.analysis.points import pair_points
from scoring.errors import UnknownName, UserError


@dataclass(frozen=True, kw_only=True)
class CorrelationsFlags(PublishedFlags):
    """Pearson's and Spearman's correlations of metrics, and Jaccard distances of their ends."""

    metrics: tuple[str, ...] = ()
    """Metrics to compare; default: all that are published."""
    percent: float = 25.0
    """Of a class, how many are its lowest and its highest."""
    pair: tuple[str, str] | None = None
    """Two of these metrics, to be drawn against each other; default: none."""

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
    """Compare what is published."""
    flags = parse_flags(CorrelationsFlags, argv, "protoscore evaluate correlations")
    flags.check()
    snapshot = flags.snapshot()
    metrics = flags.published(snapshot, "--metrics", flags.metrics)
    if len(metrics) < 2:
        raise UserError(f"--metrics: expected two or more to compare, got {metrics[0]} alone")
    for metric in flags.pair or ():
        if metric not in metrics:
            raise UnknownName("--pair", metric, metrics)
    told = read_joined_scores(snapshot, flags.split, metrics)
    note_left_out(told)
    oriented = {m: registry.metric(m).oriented(values) for m, values in told.value.items()}
    found = agreement.findings(told, oriented, flags.percent)
    columns = list(dict.fromkeys((f.part, f.measure) for f in found))
    with evaluating(snapshot.storage, snapshot.dataset, command) as evaluation:
        evaluation.tell(f"correlations_{flags.split}", found, columns)
        if flags.pair:
            points = pair_points(told, flags.pair, snapshot.current(flags.split).classes)
            evaluation.publish(f"pair_{flags.split}", points)
    return 0
