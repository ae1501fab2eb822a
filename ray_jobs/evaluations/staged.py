"""Scores that evaluations stage for themselves, by fleets that no night uses."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

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

    def read(self, how: Assignment) -> StagedScores:
        """The staged scores of a metric on all of them, in order of id."""
        parts = list(in_parallel(partial(read_scores, self.storage), self.paths(how)))
        columns = ("ids", "value", "spread", "tiebreak", "status")
        joined = {name: np.concatenate([getattr(p, name) for p in parts]) for name in columns}
        order = np.argsort(joined["ids"])
        by_id = {name: column[order] for name, column in joined.items()}
        return StagedScores(**by_id, scored_at=max(part.scored_at for part in parts))

    def paths(self, how: Assignment) -> list[str]:
        """Where those scores are staged, shard by shard."""
        return [
            staged_path(how.metric, score_key(how, record, self.every))
            for record in self.version.shards
        ]


def is_staged(examples: Examples, assignments: Sequence[Assignment]) -> bool:
    """Whether all of these scores are staged."""
    paths = [path for how in assignments for path in examples.paths(how)]
    return examples.storage.existing(paths) == {*paths}


def stage(
    engine: Engine,
    examples: Examples,
    assignments: Sequence[Assignment],
    device: str,
    *,
    keep_logits: bool = False,
) -> None:
    """Make the scores that are not staged.

    Args:
        engine: where they are made.
        examples: what to score.
        assignments: metrics, and the runs to score with.
        device: where nets run.
        keep_logits: read the logits that the store has, and keep those it lacks.

    Raises:
        IncompleteError: shards did not come through; what is staged stays.
    """
    paths = {assignment: examples.paths(assignment) for assignment in assignments}
    there = examples.storage.existing(path for of_each in paths.values() for path in of_each)
    version = examples.version
    data = ShardData(storage=examples.storage, dataset=version.name, shape=version.shape)
    job = ScoringJob(data=data, classes=len(version.classes), assignments=tuple(paths))
    work = []
    for place, record in enumerate(version.shards):
        tasks = tuple(
            (number, score_key(assignment, record, examples.every))
            for number, (assignment, of_each) in enumerate(paths.items())
            if of_each[place] not in there
        )
        if tasks:
            work.append(ShardTasks(record=record, tasks=tasks, every=examples.every))
    if not work:
        return
    most = -(-max(item.record.rows for item in work) // examples.every)
    engine.score(job, work, device, keep_logits=keep_logits, most_rows=most)
