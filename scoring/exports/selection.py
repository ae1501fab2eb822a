"""What is exported: some metrics of some splits, and the dataset version that they were scored on.

All that is exported of a split is of one version of it: an id may show another image in another.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from scoring.analysis.snapshot import Snapshot
from scoring.data.shapes import InputShape
from scoring.data.versions import DatasetVersion
from scoring.errors import UnknownName, UserError
from scoring.exports.rows import ScoredSplit, read_split, wide_schema
from scoring.store.keys import Split


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Some partitions of a dataset's published scores."""

    snapshot: Snapshot
    partitions: Mapping[Split, Sequence[str]]
    """Split to its metrics; at least one of each."""
    left_out: Sequence[str]
    """Partitions (`split/metric`) that nobody left out by name: of an older dataset version."""

    @property
    def splits(self) -> tuple[Split, ...]:
        """Train first."""
        return tuple(self.partitions)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every metric of any split; where a split has no scores by it, its columns are null."""
        return tuple(
            sorted({metric for of_split in self.partitions.values() for metric in of_split})
        )

    @property
    def schema(self) -> pa.Schema:
        """Of `tables`."""
        return wide_schema(self.metrics)

    def version(self, split: Split) -> DatasetVersion:
        """The dataset version that a split's metrics were scored on."""
        manifest = self.snapshot.manifests[split, self.partitions[split][0]]
        return self.snapshot.data[split, manifest.dataset_version]

    @property
    def shape(self) -> InputShape:
        """What the examples are decoded to."""
        return self.version(self.splits[0]).shape

    @property
    def rows(self) -> int:
        """Examples of all splits."""
        return sum(self.version(split).rows for split in self.splits)

    def about(self) -> dict[str, Any]:
        """What it was made of, as JSON values."""
        return {
            "dataset": self.snapshot.dataset,
            "scores_version": self.snapshot.version,
            "dataset_versions": {split: self.version(split).version for split in self.splits},
            "metrics": {split: list(metrics) for split, metrics in self.partitions.items()},
        }

    def read(self, split: Split) -> ScoredSplit:
        """The scores of a split; hold one at a time."""
        metrics = self.partitions[split]
        return read_split(self.snapshot, self.version(split), metrics, self.schema)

    def tables(self) -> Iterator[pa.Table]:
        """Every example, one row each, in the order of splits and ids, a shard at a time."""
        for split in self.splits:
            scored = self.read(split)
            for shard in scored.shards:
                yield scored.table(shard)


def select(snapshot: Snapshot, splits: Sequence[Split], metrics: Sequence[str]) -> Selection:
    """Choose what to export.

    Args:
        snapshot: what is published.
        splits: published ones.
        metrics: empty: all that were scored on the same dataset version as the newest.

    Raises:
        UnknownName: a metric that none of the splits has.
        UserError: of one split, metrics that were scored on different versions of it.
    """
    published = {split: sorted(m for s, m in snapshot.manifests if s == split) for split in splits}
    known = {metric for of_split in published.values() for metric in of_split}
    for metric in metrics:
        if metric not in known:
            raise UnknownName("--metrics", metric, known)
    partitions: dict[Split, Sequence[str]] = {}
    left_out: list[str] = []
    for split, there in published.items():
        if metrics:
            chosen = [metric for metric in there if metric in metrics]
            _check_one_version(snapshot, split, chosen)
        else:
            current = snapshot.current(split).version
            chosen = [m for m in there if snapshot.manifests[split, m].dataset_version == current]
            left_out += [f"{split}/{metric}" for metric in there if metric not in chosen]
        if chosen:
            partitions[split] = chosen
    return Selection(snapshot=snapshot, partitions=partitions, left_out=left_out)


def _check_one_version(snapshot: Snapshot, split: Split, metrics: Sequence[str]) -> None:
    of_version: dict[str, str] = {}
    for metric in metrics:
        of_version.setdefault(snapshot.manifests[split, metric].dataset_version, metric)
    if len(of_version) > 1:
        got = " and ".join(f"{metric} of {version[:8]}" for version, metric in of_version.items())
        raise UserError(
            f"--metrics: expected metrics scored on one version of the {split} split, got {got}; "
            "run protoscore rescore, or leave one out"
        )
