"""Judge the new shards of a night by rows that are fair to compare them with.

A model ranks what it was trained on higher than what it was not. So rows that a fleet has not seen
are compared with others that it has not seen, and rows that it has with others that it has. In the
first night after a training, no other row of the training split is unseen; then the other split
stands in, if the same runs scored it and none was trained on it. Other new shards are never
compared with, for all could be wrong together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from scoring.analysis.shard_drift import Drift, Ranked, drift, typicality
from scoring.analysis.snapshot import Snapshot
from scoring.arrays import Bools, Ints
from scoring.data.shards import ShardRecord
from scoring.data.versions import DatasetVersion
from scoring.store.keys import SPLITS, Split

FEWEST_OTHERS = 200
"""With fewer rows to compare with, the other split stands in."""


@dataclass(frozen=True, kw_only=True)
class JudgedShard:
    """A new or changed shard, as one metric sees it."""

    split: Split
    metric: str
    shard: ShardRecord
    drift: Drift

    @property
    def where(self) -> str:
        """The shard as people find it."""
        last = self.shard.first_id + self.shard.rows - 1
        return f"{self.split} examples {self.shard.first_id} to {last}"


def changed_shards(before: DatasetVersion, after: DatasetVersion) -> list[ShardRecord]:
    """Return the shards of a version that an earlier one does not hold as they are."""
    known = {shard.content for shard in before.shards}
    return [shard for shard in after.shards if shard.content not in known]


def judge_new_shards(
    before: Snapshot, after: Snapshot, split: Split, metric: str, trained: Mapping[str, str]
) -> list[JudgedShard]:
    """Judge the shards that are new in a partition; those without fair company are left out.

    Args:
        before: the scores as an earlier night left them.
        after: the scores as they are.
        split: the partition's split.
        metric: the partition's metric.
        trained: key of each run to the split that it was trained on.
    """
    old, new = before.manifests.get((split, metric)), after.manifests[split, metric]
    if old is None or old.dataset_version == new.dataset_version:
        return []
    shards = changed_shards(
        before.data[split, old.dataset_version], after.data[split, new.dataset_version]
    )
    if not shards:
        return []
    rows = _Rows.read(after, split, metric, trained)
    old_rows = ~within(rows.ids, shards)
    found = []
    for shard, seen in product(shards, (False, True)):
        mine = within(rows.ids, [shard]) & (rows.seen == seen)
        others = rows.where(old_rows & (rows.seen == seen))
        if not seen and len(others.key) < max(FEWEST_OTHERS, int(mine.sum())):
            others = _together(others, _unseen_elsewhere(after, split, metric, trained))
        if judged := drift(rows.where(mine), others):
            found.append(JudgedShard(split=split, metric=metric, shard=shard, drift=judged))
    return found


def within(ids: Ints, shards: Sequence[ShardRecord]) -> Bools:
    """Return [N] whether each id belongs to one of the shards."""
    if not shards:
        return np.zeros(len(ids), dtype=np.bool_)
    in_order = sorted(shards, key=lambda shard: shard.first_id)
    first = np.array([shard.first_id for shard in in_order])
    end = first + np.array([shard.rows for shard in in_order])
    at = np.searchsorted(first, ids, side="right") - 1
    inside: Bools = (at >= 0) & (ids < end[at])
    return inside


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """The N rows of a partition."""

    ids: Ints
    seen: Bools
    """[N] whether the runs behind the scores were trained on the split when it held the row."""
    ranked: Ranked

    @classmethod
    def read(
        cls, snapshot: Snapshot, split: Split, metric: str, trained: Mapping[str, str]
    ) -> "_Rows":
        scores = snapshot.scores(split, metric)
        manifest = snapshot.manifests[split, metric]
        seen = np.zeros(len(scores.ids), dtype=np.bool_)
        splits = {trained.get(run) for run in manifest.runs}
        if split in splits and split in manifest.trained_on:
            seen = within(
                scores.ids, snapshot.find_version(split, manifest.trained_on[split]).shards
            )
        ranked = Ranked(label=scores.label, key=typicality(scores))
        return cls(ids=scores.ids, seen=seen, ranked=ranked)

    def where(self, rows: Bools) -> Ranked:
        return Ranked(label=self.ranked.label[rows], key=self.ranked.key[rows])


def _unseen_elsewhere(
    snapshot: Snapshot, split: Split, metric: str, trained: Mapping[str, str]
) -> Ranked:
    """Return the rows that the same runs have scored on the other split, unseen; or none."""
    (other,) = (s for s in SPLITS if s != split)
    manifest = snapshot.manifests.get((other, metric))
    if manifest and set(manifest.runs) == set(snapshot.manifests[split, metric].runs):
        rows = _Rows.read(snapshot, other, metric, trained)
        return rows.where(~rows.seen)
    return Ranked(label=np.empty(0, dtype=np.int64), key=np.empty(0))


def _together(one: Ranked, two: Ranked) -> Ranked:
    return Ranked(
        label=np.concatenate([one.label, two.label]), key=np.concatenate([one.key, two.key])
    )
