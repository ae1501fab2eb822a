"""Scoring as a job over shards: what all shards share, what each still lacks, and how to do it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scoring.data.shapes import InputShape
from scoring.data.shards import Shard, ShardRecord
from scoring.score.assignments import Assignment, Task
from scoring.score.scorer import Scorer
from scoring.score.signals import SignalOptions
from scoring.store.layout import SAMPLE
from scoring.store.storage import Storage


@dataclass(frozen=True, kw_only=True)
class ShardData:
    """Where the shards of a dataset are."""

    storage: Storage
    dataset: str
    shape: InputShape


@dataclass(frozen=True, kw_only=True)
class ScoringJob:
    """What every worker knows; a shard brings only what is its own."""

    data: ShardData
    classes: int
    assignments: tuple[Assignment, ...]
    """How each metric is computed on each split."""


@dataclass(frozen=True, kw_only=True)
class ShardTasks:
    """A shard and what it still lacks: (index of the assignment, name of the result)."""

    record: ShardRecord
    tasks: tuple[tuple[int, str], ...]
    every: int = 1
    """Score every n-th row."""


class ShardScorer:
    """Scores one shard a call, and holds weights between calls."""

    def __init__(self, job: ScoringJob, options: SignalOptions) -> None:
        self._job = job
        self._scorer = Scorer(job.data.storage, job.data.dataset, options)

    def __call__(
        self, record: ShardRecord, shard: Shard, task: Mapping[str, Any]
    ) -> tuple[int, Sequence[Assignment]]:
        """Stage what a shard lacks.

        Args:
            record: the shard.
            shard: its decoded rows.
            task: a `ShardTasks` as JSON.

        Returns:
            How many rows were scored, and by which assignments.
        """
        shard = shard.every(task["every"])
        tasks = [Task(assignment=self._job.assignments[i], key=key) for i, key in task["tasks"]]
        # The logits of some rows must not be kept as if they were those of all.
        content = record.content if len(shard.ids) == record.rows else f"{tasks[0].key}{SAMPLE}"
        self._scorer.score(content, shard, self._job.classes, tasks)
        return len(shard.ids), [task.assignment for task in tasks]
