"""`protoscore evaluate toy`: small nets in the plane, where all can be seen.

VoG against the distance to the boundary of a net between two clusters (Agarwal et al. 2022); and
what representer values and influence functions say where a net is sure of all (Yeh et al. 2018).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ray_jobs.evaluations.evaluating import Evaluation, evaluating
from ray_jobs.terminal.console import default_store, parse_flags
from scoring.analysis import plane_representers, plane_vog
from scoring.errors import UserError
from scoring.store.storage import Storage
from scoring.tables.findings import PLANE, Finding


@dataclass(frozen=True, kw_only=True)
class ToyFlags:
    """Small nets in the plane, where all can be seen."""

    store: str = field(default_factory=default_store)
    """A folder or s3://bucket/prefix; default: PROTOSCORE_STORE, else ./store."""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Nets and points of its own for each."""

    def check(self) -> None:
        """Refuse what can be refused from the flags alone.

        Raises:
            UserError: naming the flag.
        """
        if not self.seeds or min(self.seeds) < 0:
            raise UserError(f"--seeds: expected numbers from 0 on, got {self.seeds or 'none'}")


def main(argv: Sequence[str], command: str) -> int:
    """Train the nets and judge them; seconds, so on no cluster."""
    flags = parse_flags(ToyFlags, argv, "protoscore evaluate toy", __doc__)
    flags.check()
    storage = Storage(flags.store)
    storage.check(writable=True)
    with evaluating(storage, PLANE, command) as evaluation:
        _evaluate(evaluation, list(dict.fromkeys(flags.seeds)))
    return 0


def _evaluate(evaluation: Evaluation, seeds: Sequence[int]) -> None:
    vog = plane_vog.findings({seed: plane_vog.experiment(seed) for seed in seeds})
    evaluation.tell("toy", vog, _means(vog))
    sure = {seed: plane_representers.experiment(seed) for seed in seeds}
    findings = plane_representers.findings(sure)
    evaluation.tell("toy_representers", findings, _means(findings))
    evaluation.publish("toy_plane", plane_representers.scatter(sure[seeds[0]]))


def _means(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    """The columns to print."""
    return [("all", measure) for measure in dict.fromkeys(f.measure for f in findings)]
