"""`protoscore evaluate deciles`: error rate by tenths of each metric's ranking."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ray_jobs.console import default_store, parse_flags
from ray_jobs.evaluations.output import tell
from scoring.analysis import deciles
from scoring.analysis.snapshot import take_snapshot
from scoring.analysis.statistics import errors_by_decile
from scoring.errors import UnknownName, UserError
from scoring.keys import Split


@dataclass(frozen=True, kw_only=True)
class DecilesFlags:
    """Error rate by tenths of each metric's ranking, the most outlying first."""

    store: str = field(default_factory=default_store)
    """A folder or s3://bucket/prefix; default: PROTOSCORE_STORE, else ./store."""
    dataset: str | None = None
    """May be left out where only one is published."""
    split: Split = "test"
    """Of the training split the classifier has seen the labels."""
    metrics: tuple[str, ...] = ()
    """Default: all that are published."""


def main(argv: Sequence[str], command: str) -> int:
    """Judge what is published."""
    flags = parse_flags(DecilesFlags, argv, "protoscore evaluate deciles")
    snapshot = take_snapshot(flags.store, flags.dataset)
    published = [metric for split, metric in snapshot.manifests if split == flags.split]
    for metric in flags.metrics:
        if metric not in published:
            raise UnknownName("--metrics", metric, published)
    found = []
    for metric in flags.metrics or sorted(published):
        errors = errors_by_decile(snapshot.scores(flags.split, metric))
        if errors:
            found += deciles.findings(metric, errors)
    if not found:
        raise UserError(f"--split: expected labelled rows, got none in {flags.split}")
    columns = [(part, "error_rate") for part in deciles.PARTS]
    name = f"deciles_{flags.split}"
    tell(snapshot.storage, snapshot.dataset, name, found, columns, command)
    return 0
