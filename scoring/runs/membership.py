"""Who saw what: whether an example was among the rows that shaped a run's weights."""

from dataclasses import dataclass

import numpy as np

from scoring.arrays import Bools, Ints
from scoring.data.versions import DatasetVersion, load_version
from scoring.run_spec import RunSpec
from scoring.runs.record import RunRecord
from scoring.store.keys import Split
from scoring.store.storage import Storage


@dataclass(frozen=True)
class IdRanges:
    """The example ids of a dataset version, as disjoint ranges."""

    firsts: Ints
    """[S] first id of each shard, ascending."""
    ends: Ints
    """[S] the id after its last one."""

    @classmethod
    def of(cls, version: DatasetVersion) -> "IdRanges":
        """Return the ids of a version."""
        spans = sorted((shard.first_id, shard.first_id + shard.rows) for shard in version.shards)
        firsts, ends = np.array(spans, dtype=np.int64).reshape(-1, 2).T
        return cls(firsts, ends)

    def hold(self, ids: Ints) -> Bools:
        """Return whether each id is one of them, [N] bool."""
        if not len(self.firsts):
            return np.zeros(len(ids), dtype=bool)
        nearest = np.searchsorted(self.firsts, ids, side="right") - 1
        within: Bools = (nearest >= 0) & (ids < self.ends[nearest])
        return within


class Membership:
    """Says who saw what, and keeps the ids of the versions that runs were trained on.

    An example is known by its id: one whose label or image changed since a run was trained counts
    as seen, because the run may have learnt it as it was.
    """

    def __init__(self, storage: Storage, dataset: str) -> None:
        self._storage = storage
        self._dataset = dataset
        self._versions: dict[tuple[Split, str], IdRanges | None] = {}

    def seen(self, record: RunRecord, split: Split, ids: Ints) -> Bools | None:
        """Return whether examples were among the rows that shaped a run's weights, [N] bool.

        A row without a label, or that cannot be decoded, counts as seen with its shard.

        Args:
            record: a finished run.
            split: the split of the examples.
            ids: [N] int64 example ids.

        Returns:
            None if nobody knows: the run was imported, drew its rows by seed, or was trained on
            something else than a version of the dataset.
        """
        return self._seen(record, record.spec, split, ids)

    def is_of_dataset(self, record: RunRecord, split: Split) -> bool:
        """Return whether what shaped a run's weights of a split is a version of the dataset."""
        return self._version(split, record.versions.get(split, "")) is not None

    def _seen(self, record: RunRecord, spec: RunSpec, split: Split, ids: Ints) -> Bools | None:
        earlier = self._seen(record, spec.parent, split, ids) if spec.parent else _none(ids)
        own = self._own(record, spec, split, ids)
        return None if earlier is None or own is None else earlier | own

    def _own(self, record: RunRecord, spec: RunSpec, split: Split, ids: Ints) -> Bools | None:
        """Return whether a run itself trained on the examples, whatever its parent did."""
        if spec.kind == "imported":
            return _none(ids) if spec.unseen else None
        if spec.split != split:
            return _none(ids)
        version = self._version(split, record.versions[split])
        if version is None or spec.subset < 1:
            return None
        held = version.hold(ids)
        return held & ~spec.left_out.holds(ids) if spec.left_out else held

    def _version(self, split: Split, version: str) -> IdRanges | None:
        key = split, version
        if key not in self._versions:
            try:
                found = load_version(self._storage, self._dataset, split, version)
            except FileNotFoundError:  # a slice, or a version of another dataset
                self._versions[key] = None
            else:
                self._versions[key] = IdRanges.of(found)
        return self._versions[key]


def _none(ids: Ints) -> Bools:
    return np.zeros(len(ids), dtype=bool)
