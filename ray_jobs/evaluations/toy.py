"""`protoscore evaluate toy`: VoG against the distance to the boundary, for points in the plane."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ray_jobs.console import default_store, parse_flags
from ray_jobs.evaluations.output import tell
from scoring.analysis import toy
from scoring.errors import UserError
from scoring.storage import Storage


@dataclass(frozen=True, kw_only=True)
class ToyFlags:
    """VoG against the distance to the boundary of a net that separates two clusters."""

    store: str = field(default_factory=default_store)
    """A folder or s3://bucket/prefix; default: PROTOSCORE_STORE, else ./store."""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """A net and points of its own for each."""

    def check(self) -> None:
        """Refuse what can be refused from the flags alone.

        Raises:
            UserError: naming the flag.
        """
        if not self.seeds or min(self.seeds) < 0:
            raise UserError(f"--seeds: expected numbers from 0 on, got {self.seeds or 'none'}")


def main(argv: Sequence[str], command: str) -> int:
    """Train the nets and judge them; seconds, so on no cluster."""
    flags = parse_flags(ToyFlags, argv, "protoscore evaluate toy")
    flags.check()
    storage = Storage(flags.store)
    storage.check(writable=True)
    found = toy.findings({seed: toy.toy(seed) for seed in dict.fromkeys(flags.seeds)})
    measures = dict.fromkeys(f.measure for f in found)
    tell(storage, "toy", "toy", found, [("all", measure) for measure in measures], command)
    return 0
