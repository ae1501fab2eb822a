"""The published scores that an evaluation without training reads."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ray_jobs.terminal.console import default_store
from ray_jobs.terminal.shared_flags import PublishedDataset, StoreUri
from scoring.analysis.snapshot import Snapshot, take_snapshot
from scoring.errors import UnknownName
from scoring.store.keys import Split
from scoring.store.mark import check_marked


@dataclass(frozen=True, kw_only=True)
class PublishedFlags:
    """One split of a published dataset."""

    store: StoreUri = field(default_factory=default_store)
    dataset: PublishedDataset = None
    split: Split = "train"
    """Split to evaluate."""

    def snapshot(self) -> Snapshot:
        """Return the scores published now.

        Raises:
            UserError: no such dataset or split, or a store that cannot be written.
        """
        snapshot = take_snapshot(self.store, self.dataset)
        if self.split not in snapshot.splits:
            raise UnknownName("--split", self.split, snapshot.splits)
        snapshot.storage.check(writable=True)
        check_marked(snapshot.storage)
        return snapshot

    def published(self, snapshot: Snapshot, flag: str, metrics: Sequence[str] = ()) -> list[str]:
        """Return the metrics that a flag names, each once, or all metrics of the split, sorted.

        Raises:
            UnknownName: a metric is not published.
        """
        known = sorted(metric for split, metric in snapshot.manifests if split == self.split)
        for metric in metrics:
            if metric not in known:
                raise UnknownName(flag, metric, known)
        return list(dict.fromkeys(metrics)) or known
