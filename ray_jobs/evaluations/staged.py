"""Scores that evaluations stage for themselves: of fleets that no night has, on whole splits."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ray_jobs.commands.explain import resources
from ray_jobs.terminal.night_flags import MachineFlags
from scoring.data.versions import DatasetVersion
from scoring.runs.record import RunRecord
from scoring.score.scorer import Assignment, score_key
from scoring.staged.scores import StagedScores, read_scores, staged_path
from scoring.store.parallel import in_parallel
from scoring.store.storage import Storage


@dataclass(frozen=True, kw_only=True)
class Examples:
    """A split, or every so-manieth row of each of its shards."""

    storage: Storage
    version: DatasetVersion
    every: int = 1

    def read(self, how: Assignment) -> StagedScores:
        """What is staged of a metric on all of them, in order of id."""
        parts = list(in_parallel(partial(read_scores, self.storage), self.paths(how)))
        columns = ("ids", "value", "spread", "tiebreak", "status")
        joined = {name: np.concatenate([getattr(p, name) for p in parts]) for name in columns}
        order = np.argsort(joined["ids"])
        by_id = {name: column[order] for name, column in joined.items()}
        return StagedScores(**by_id, scored_at=max(part.scored_at for part in parts))

    def paths(self, how: Assignment) -> list[str]:
        """Where that is, shard by shard."""
        return [
            staged_path(how.metric, score_key(how, record, self.every))
            for record in self.version.shards
        ]


def is_staged(examples: Examples, assignments: Sequence[Assignment]) -> bool:
    """Whether all of some scores are there."""
    paths = [path for how in assignments for path in examples.paths(how)]
    return examples.storage.existing(paths) == {*paths}


def stage(
    examples: Examples,
    assignments: Sequence[Assignment],
    base: RunRecord,
    machine: MachineFlags,
    *,
    keep_outputs: bool = False,
) -> None:
    """Make those of some scores that are not staged; on the cluster that this process has joined.

    Args:
        examples: whose.
        assignments: metrics, and the runs to score by.
        base: a run like those, which says on which device they are asked.
        machine: how much of it.
        keep_outputs: read logits that are in the store, and keep the others there.

    Raises:
        IncompleteError: shards did not come through; what is staged stays.
    """
    from ray_jobs.on_ray.map_shards import ShardData
    from ray_jobs.on_ray.score_shards import ScoringJob, ShardTasks, score_shards

    of_each = {how: examples.paths(how) for how in assignments}
    there = examples.storage.existing(path for paths in of_each.values() for path in paths)
    version = examples.version
    data = ShardData(storage=examples.storage, dataset=version.name, shape=version.shape)
    job = ScoringJob(data=data, classes=len(version.classes), assignments=tuple(of_each))
    work = []
    for place, record in enumerate(version.shards):
        tasks = tuple(
            (number, score_key(how, record, examples.every))
            for number, (how, paths) in enumerate(of_each.items())
            if paths[place] not in there
        )
        if tasks:
            work.append(ShardTasks(record=record, tasks=tasks, every=examples.every))
    if not work:
        return
    options, pool = resources(base, machine)
    rows = -(-max(item.record.rows for item in work) // examples.every)
    few = min(options.batch_rows, rows)  # no batch is filled up beyond what there is
    options = replace(options, keep_outputs=keep_outputs, batch_rows=few)
    score_shards(job, work, options, pool)
