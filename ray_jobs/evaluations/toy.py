"""Test VoG and representer values on small nets in the plane, where everything can be seen.

Compares VoG with the distance to the boundary of a net between two clusters (Agarwal et al. 2022),
and representer values with influence functions for a net that is sure of everything (Yeh et al.
2018).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ray_jobs.evaluations.evaluating import Evaluation, evaluating
from ray_jobs.terminal.console import default_store, parse_flags
from ray_jobs.terminal.shared_flags import StoreUri
from scoring.analysis import plane_representers, plane_vog
from scoring.errors import UserError
from scoring.store.mark import check_new_or_marked
from scoring.store.storage import Storage
from scoring.tables.findings import PLANE, Finding


@dataclass(frozen=True, kw_only=True)
class ToyFlags:
    """The store to publish in, and the nets to train."""

    store: StoreUri = field(default_factory=default_store)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Seeds; each draws points and nets of its own."""

    def check(self) -> None:
        """Refuse what can be refused from the flags alone.

        Raises:
            UserError: naming the flag.
        """
        if not self.seeds or min(self.seeds) < 0:
            raise UserError(f"--seeds: expected numbers of 0 or more, got {self.seeds or 'none'}")


def main(argv: Sequence[str], command: str) -> int:
    """Train the nets and evaluate them. It takes seconds, so needs no cluster."""
    flags = parse_flags(ToyFlags, argv, "protoscore evaluate toy", __doc__)
    flags.check()
    storage = Storage(flags.store)
    storage.check(writable=True)
    check_new_or_marked(storage)
    with evaluating(storage, PLANE, command) as evaluation:
        _evaluate(evaluation, list(dict.fromkeys(flags.seeds)))
    return 0


def _evaluate(evaluation: Evaluation, seeds: Sequence[int]) -> None:
    vog = plane_vog.findings({seed: plane_vog.experiment(seed) for seed in seeds})
    evaluation.report("toy", vog, _means(vog))
    experiments = {seed: plane_representers.experiment(seed) for seed in seeds}
    findings = plane_representers.findings(experiments)
    evaluation.report("toy_representers", findings, _means(findings))
    evaluation.publish("toy_plane", plane_representers.scatter(experiments[seeds[0]]))


def _means(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    """Return the columns to print: means over seeds."""
    return [("all", measure) for measure in dict.fromkeys(f.measure for f in findings)]
