"""Scores that evaluations stage for themselves, with fleets that no night uses."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain

import numpy as np

from ray_jobs.engine import Engine
from scoring.data.versions import DatasetVersion
from scoring.score.assignments import Assignment, score_key
from scoring.score.shard_job import ScoringJob, ShardData, ShardTasks
from scoring.staged.scores import StagedScores, read_scores
from scoring.store.layout import staged_path
from scoring.store.parallel import in_parallel
from scoring.store.storage import Storage


@dataclass(frozen=True, kw_only=True)
class Examples:
    """A split, or every n-th row of each of its shards."""

    storage: Storage
    version: DatasetVersion
    every: int = 1

    def read(self, assignment: Assignment) -> StagedScores:
        """Read the staged scores of a metric on these examples, sorted by id."""
        parts = list(in_parallel(partial(read_scores, self.storage), self.paths(assignment)))
        columns = ("ids", "value", "spread", "tiebreak", "status")
        joined = {name: np.concatenate([getattr(p, name) for p in parts]) for name in columns}
        order = np.argsort(joined["ids"])
        by_id = {name: column[order] for name, column in joined.items()}
        return StagedScores(**by_id, scored_at=max(part.scored_at for part in parts))

    def paths(self, assignment: Assignment) -> list[str]:
        """Return where those scores are staged, shard by shard."""
        return [
            staged_path(assignment.metric, score_key(assignment, record, self.every))
            for record in self.version.shards
        ]


def is_staged(examples: Examples, assignments: Sequence[Assignment]) -> bool:
    """Whether all of these scores are staged."""
    paths = [path for assignment in assignments for path in examples.paths(assignment)]
    return examples.storage.existing(paths) == {*paths}


def stage(
    engine: Engine,
    examples: Examples,
    assignments: Sequence[Assignment],
    device: str,
    *,
    keep_logits: bool = False,
) -> None:
    """Stage the scores that are missing.

    Args:
        engine: makes the scores.
        examples: the examples to score.
        assignments: metrics, and the runs to score with.
        device: the device to run nets on.
        keep_logits: read logits from the store, and add those it lacks.

    Raises:
        IncompleteError: some shards could not be done. What is staged stays.
    """
    paths = {assignment: examples.paths(assignment) for assignment in assignments}
    staged = examples.storage.existing(chain.from_iterable(paths.values()))
    version = examples.version
    data = ShardData(storage=examples.storage, dataset=version.name, shape=version.shape)
    job = ScoringJob(data=data, classes=len(version.classes), assignments=tuple(paths))
    work = []
    for shard, record in enumerate(version.shards):
        tasks = tuple(
            (number, score_key(assignment, record, examples.every))
            for number, (assignment, by_shard) in enumerate(paths.items())
            if by_shard[shard] not in staged
        )
        if tasks:
            work.append(ShardTasks(record=record, tasks=tasks, every=examples.every))
    if not work:
        return
    most = -(-max(item.record.rows for item in work) // examples.every)
    engine.score(job, work, device, keep_logits=keep_logits, most_rows=most)
