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
from scoring.errors import UnknownName
from scoring.store.keys import Split

Partition = tuple[Split, str]
PREDICTED, BASE = "predicted", "base"
"""Accuracy on the test split of the published predictions, and of the base run by its record."""
_MANY = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a dataset's newest night published, and how that differs from the night before."""

    dataset: str
    now: datetime
    last_success: datetime
    """When a night last published, or found that there is nothing to do."""
    night_seconds: float
    """How long the newest night took."""
    first: bool
    """Whether there is no night before, so that nothing can be compared."""
    rows: Mapping[Split, int]
    gone: Mapping[Split, int]
    """Published examples that are no longer published."""
    newly_lowest: Mapping[Partition, int]
    """By split and metric: examples in the lowest hundredth that were not in it before."""
    accuracy: Mapping[str, float]
    """In [0, 1]; empty without labelled test examples."""
    accuracy_before: Mapping[str, float]
    shards: Sequence[JudgedShard]
    """New and changed shards, each as every metric sees it."""

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
    counted = _counted(after, metrics)
    nights = after.nights(last=_MANY)
    before = _night_before(after, nights)
    return Facts(
        dataset=after.dataset,
        now=datetime.now(UTC),
        last_success=_last_success(after, nights),
        night_seconds=nights[0]["seconds"] if nights else float("nan"),
        first=before is None,
        rows={split: after.current(split).rows for split in after.splits},
        gone=_gone(before, after) if before else {},
        newly_lowest=_newly_lowest(before, after, counted) if before else {},
        accuracy=_accuracy(after),
        accuracy_before=_accuracy(before) if before else {},
        shards=_judged(before, after, counted) if before else [],
    )


def _counted(snapshot: Snapshot, metrics: Sequence[str]) -> list[Partition]:
    known = {metric for _, metric in snapshot.manifests}
    for metric in metrics:
        if metric not in known:
            raise UnknownName("--metrics", metric, known)
    return sorted(p for p in snapshot.manifests if not metrics or p[1] in metrics)


def _night_before(snapshot: Snapshot, nights: Sequence[Row]) -> Snapshot | None:
    """Return the scores as the night before the newest one left them."""
    newest = snapshot.newest.night_id
    versions = [n["commit_version"] for n in nights if n["night_id"] != newest]
    earlier = [version for version in versions if version is not None]
    if not earlier:
        return None
    return take_snapshot(snapshot.storage.uri, snapshot.dataset, at=max(earlier))


def _last_success(snapshot: Snapshot, nights: Sequence[Row]) -> datetime:
    """Return when scores were last published, or last found to be up to date."""
    published = [n["finished_at"] for n in nights]
    up_to_date = [
        datetime.fromisoformat(job.seen_at)
        for job in load_jobs(snapshot.storage)
        if (job.dataset, job.state) == (snapshot.dataset, "nothing to do")
    ]
    last: datetime = max([snapshot.newest.planned, *published, *up_to_date])
    return last


def _gone(before: Snapshot, after: Snapshot) -> dict[Split, int]:
    """Count the examples of each split that some metric no longer has."""
    lost: dict[Split, int] = {}
    for split, metric in before.manifests:
        if (split, metric) not in after.manifests:
            ids = before.scores(split, metric).ids
        elif before.manifests[split, metric].key != after.manifests[split, metric].key:
            ids = gone(before.scores(split, metric), after.scores(split, metric))
        else:
            continue
        lost[split] = max(lost.get(split, 0), len(ids))
    return {split: lost.get(split, 0) for split in before.splits}


def _newly_lowest(
    before: Snapshot, after: Snapshot, counted: Sequence[Partition]
) -> dict[Partition, int]:
    return {
        p: len(newly_lowest(before.scores(*p), after.scores(*p)))
        for p in counted
        if p in before.manifests
    }


def _accuracy(snapshot: Snapshot) -> dict[str, float]:
    of_test = [m for (split, _), m in snapshot.manifests.items() if split == "test"]
    newest = max(of_test, key=lambda manifest: manifest.planned, default=None)
    if newest is None:
        return {}
    found = {PREDICTED: accuracy(snapshot.scores("test", newest.partition.metric))}
    for run in snapshot.runs():
        if run["run_key"] == newest.base and run["test_accuracy"] is not None:
            found[BASE] = run["test_accuracy"]
    return {name: value for name, value in found.items() if not math.isnan(value)}


def _judged(before: Snapshot, after: Snapshot, counted: Sequence[Partition]) -> list[JudgedShard]:
    return [judged for p in counted for judged in judge_new_shards(before, after, *p)]
