"""The facts that expectations are held against: the newest night of a dataset, and the one before.

Everything is read from the tables, the dataset versions behind them and the job records.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ray_jobs.jobs.job_record import load_jobs
from scoring.analysis.new_shards import JudgedShard, judge_new_shards
from scoring.analysis.night_changes import accuracy, gone, newly_lowest
from scoring.analysis.score_table import Row
from scoring.analysis.snapshot import Snapshot, take_snapshot
from scoring.errors import DroppedVersion, UnknownName
from scoring.store.keys import Split

Partition = tuple[Split, str]
"""Split and metric."""
PREDICTED, BASE = "predicted", "base"
"""Accuracy on the test split of the published predictions, and of the base run by its record."""
_LAST_NIGHTS = 100  # more than ever overlap


@dataclass(frozen=True, kw_only=True)
class Changes:
    """How the newest night differs from the one before."""

    gone: Mapping[Split, int]
    """Examples of a split that some metric no longer has."""
    newly_lowest: Mapping[Partition, int]
    """Examples in the lowest hundredth of a ranking that were not in it before."""
    accuracy_before: Mapping[str, float]
    shards: Sequence[JudgedShard]
    """New and changed shards, each as every metric sees it."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a dataset's newest night published."""

    dataset: str
    now: datetime
    last_success: datetime
    """When a night last published, or found that there is nothing to do."""
    night_seconds: float
    """How long the newest night took; NaN if it is not recorded."""
    rows: Mapping[Split, int]
    accuracy: Mapping[str, float]
    """In [0, 1], by `PREDICTED` and `BASE`; empty without labelled test examples."""
    changes: Changes | None
    """None: there is no night before."""

    @property
    def age_hours(self) -> float:
        """Hours since the last success."""
        return (self.now - self.last_success).total_seconds() / 3600


def gather(uri: str, dataset: str | None, metrics: Sequence[str]) -> Facts:
    """Read the facts of a dataset.

    Args:
        uri: the store.
        dataset: may be None if only one is published.
        metrics: the metrics whose rankings count; empty: all that are published.

    Raises:
        UserError: no such dataset or metric.
        BadStore: nothing is published, or the store cannot be read.
    """
    after = take_snapshot(uri, dataset)
    known = {metric for _, metric in after.manifests}
    for metric in metrics:
        if metric not in known:
            raise UnknownName("--metrics", metric, known)
    nights = after.nights(last=_LAST_NIGHTS)
    before = _night_before(after, nights)
    return Facts(
        dataset=after.dataset,
        now=datetime.now(UTC),
        last_success=_last_success(after, nights),
        night_seconds=nights[0]["seconds"] if nights else math.nan,
        rows={split: after.current(split).rows for split in after.splits},
        accuracy=_accuracy(after),
        changes=_changes(before, after, set(metrics) or known) if before else None,
    )


def _night_before(snapshot: Snapshot, nights: Sequence[Row]) -> Snapshot | None:
    """Return the scores as the night before the newest one left them; None if they are dropped."""
    newest = snapshot.newest.night_id
    versions = [n["commit_version"] for n in nights if n["night_id"] != newest]
    earlier = [version for version in versions if version is not None]
    if not earlier:
        return None
    try:
        return take_snapshot(snapshot.storage.uri, snapshot.dataset, at=max(earlier))
    except DroppedVersion:  # examples were forgotten since
        return None


def _last_success(snapshot: Snapshot, nights: Sequence[Row]) -> datetime:
    published = [night["finished_at"] for night in nights]
    up_to_date = [
        datetime.fromisoformat(job.seen_at)
        for job in load_jobs(snapshot.storage)
        if (job.dataset, job.state) == (snapshot.dataset, "nothing to do")
    ]
    last: datetime = max([snapshot.newest.planned, *published, *up_to_date])
    return last


def _accuracy(snapshot: Snapshot) -> dict[str, float]:
    of_test = [m for (split, _), m in snapshot.manifests.items() if split == "test"]
    if not of_test:
        return {}
    newest = max(of_test, key=lambda manifest: manifest.planned)
    found = {PREDICTED: accuracy(snapshot.scores("test", newest.partition.metric))}
    for run in snapshot.runs():
        if run["run_key"] == newest.base and run["test_accuracy"] is not None:
            found[BASE] = run["test_accuracy"]
    return {name: value for name, value in found.items() if not math.isnan(value)}


def _changes(before: Snapshot, after: Snapshot, metrics: set[str]) -> Changes:
    lost: dict[Split, int] = dict.fromkeys(before.splits, 0)
    lowest: dict[Partition, int] = {}
    shards: list[JudgedShard] = []
    trained = {run["run_key"]: run["split"] for run in after.runs()}
    for partition in sorted(before.manifests.keys() & after.manifests.keys()):
        split, metric = partition
        counts = metric in metrics
        if counts:
            lowest[partition] = 0
        if before.manifests[partition].key == after.manifests[partition].key:
            continue
        old, new = before.scores(split, metric), after.scores(split, metric)
        lost[split] = max(lost[split], len(gone(old, new)))
        if counts:
            lowest[partition] = len(newly_lowest(old, new))
            shards += judge_new_shards(before, after, split, metric, trained)
    return Changes(gone=lost, newly_lowest=lowest, accuracy_before=_accuracy(before), shards=shards)
