"""What evaluations that train nothing are about: published scores."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ray_jobs.terminal.console import default_store
from scoring.analysis.snapshot import Snapshot, take_snapshot
from scoring.errors import UnknownName
from scoring.store.keys import Split


@dataclass(frozen=True, kw_only=True)
class PublishedFlags:
    """Which split of what is published."""

    store: str = field(default_factory=default_store)
    """A folder or s3://bucket/prefix; default: PROTOSCORE_STORE, else ./store."""
    dataset: str | None = None
    """May be left out where only one is published."""
    split: Split = "train"
    """Whose examples."""

    def snapshot(self) -> Snapshot:
        """What is published now.

        Raises:
            UserError: no such dataset or split, or a store that cannot be written.
        """
        snapshot = take_snapshot(self.store, self.dataset)
        if self.split not in snapshot.splits:
            raise UnknownName("--split", self.split, snapshot.splits)
        snapshot.storage.check(writable=True)
        return snapshot

    def published(self, snapshot: Snapshot, flag: str, metrics: Sequence[str] = ()) -> list[str]:
        """Metrics of the split: those that a flag names, each once, or all of them, sorted.

        Raises:
            UnknownName: one is not published.
        """
        known = sorted(metric for split, metric in snapshot.manifests if split == self.split)
        for metric in metrics:
            if metric not in known:
                raise UnknownName(flag, metric, known)
        return list(dict.fromkeys(metrics)) or known
