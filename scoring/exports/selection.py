"""A selection to export: some metrics of some splits, on one dataset version for each split.

Scores on different versions cannot be mixed, because an id may have another image in another one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from scoring.analysis.snapshot import Snapshot
from scoring.data.shapes import InputShape
from scoring.data.versions import DatasetVersion
from scoring.declared import ranked_by
from scoring.errors import UnknownName, UserError
from scoring.exports.rows import ScoredSplit, read_split, wide_schema
from scoring.store.keys import Split


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Some partitions of a dataset's published scores."""

    snapshot: Snapshot
    partitions: Mapping[Split, Sequence[str]]
    """Split to its metrics, at least one."""
    left_out: Sequence[str]
    """Partitions (`split/metric`) left out because they are of an older dataset version."""

    @property
    def splits(self) -> tuple[Split, ...]:
        """Splits, train first."""
        return tuple(self.partitions)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics of any split; their columns are null in splits that lack them."""
        return tuple(sorted({m for metrics in self.partitions.values() for m in metrics}))

    @property
    def schema(self) -> pa.Schema:
        """Schema of `tables`."""
        return wide_schema(self.metrics)

    def version(self, split: Split) -> DatasetVersion:
        """Return the dataset version that the metrics of a split were scored on."""
        manifest = self.snapshot.manifests[split, self.partitions[split][0]]
        return self.snapshot.data[split, manifest.dataset_version]

    @property
    def shape(self) -> InputShape:
        """Shape of the decoded examples."""
        return self.version(self.splits[0]).shape

    @property
    def rows(self) -> int:
        """Number of examples in all splits."""
        return sum(self.version(split).rows for split in self.splits)

    def provenance(self) -> dict[str, Any]:
        """Return what the selection was made from, as JSON values."""
        return {
            "dataset": self.snapshot.dataset,
            "scores_version": self.snapshot.version,
            "dataset_versions": {split: self.version(split).version for split in self.splits},
            "ranked_by": {metric: ranked_by(metric) for metric in self.metrics},
            "metrics": {split: list(metrics) for split, metrics in self.partitions.items()},
        }

    def read(self, split: Split) -> ScoredSplit:
        """Read the scores of a split; keep only one split in memory."""
        metrics = self.partitions[split]
        return read_split(self.snapshot, self.version(split), metrics, self.schema)

    def tables(self) -> Iterator[pa.Table]:
        """Yield one row for each example, sorted by split and id, one shard at a time."""
        for split in self.splits:
            scored = self.read(split)
            for shard in scored.shards:
                yield scored.table(shard)


def select(snapshot: Snapshot, splits: Sequence[Split], metrics: Sequence[str]) -> Selection:
    """Select what to export.

    Args:
        snapshot: the published scores.
        splits: splits with published scores.
        metrics: metrics to export; empty: those that were scored on the same dataset version as the
            newest.

    Raises:
        UnknownName: none of the splits has a metric.
        UserError: metrics of one split were scored on different versions of it.
    """
    published = {split: sorted(m for s, m in snapshot.manifests if s == split) for split in splits}
    known = {metric for names in published.values() for metric in names}
    for metric in metrics:
        if metric not in known:
            raise UnknownName("--metrics", metric, known)
    partitions: dict[Split, Sequence[str]] = {}
    left_out: list[str] = []
    for split, names in published.items():
        if metrics:
            selected = [metric for metric in names if metric in metrics]
            _check_one_version(snapshot, split, selected)
        else:
            current = snapshot.current(split).version
            selected = [m for m in names if snapshot.manifests[split, m].dataset_version == current]
            left_out += [f"{split}/{metric}" for metric in names if metric not in selected]
        if selected:
            partitions[split] = selected
    return Selection(snapshot=snapshot, partitions=partitions, left_out=left_out)


def _check_one_version(snapshot: Snapshot, split: Split, metrics: Sequence[str]) -> None:
    by_version: dict[str, str] = {}
    for metric in metrics:
        by_version.setdefault(snapshot.manifests[split, metric].dataset_version, metric)
    if len(by_version) > 1:
        got = " and ".join(f"{metric} on {version[:8]}" for version, metric in by_version.items())
        raise UserError(
            f"--metrics: expected metrics scored on one version of the {split} split, got {got}; "
            "run protoscore rescore, or leave one out"
        )
