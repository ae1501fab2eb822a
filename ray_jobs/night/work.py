"""What is to be scored: the tasks of each ingested shard, and those not done yet."""

from dataclasses import dataclass

from ray_jobs.night.models import Models
from ray_jobs.night.situation import Situation
from scoring.data.shards import ShardRecord
from scoring.folds.prediction import PREDICTED
from scoring.score.assignments import Assignment, RunRef, Task, score_key
from scoring.spec import Metric, Signal
from scoring.store.keys import Split, digest
from scoring.store.layout import staged_folder, stem
from scoring.store.storage import Storage


@dataclass(frozen=True, kw_only=True)
class ShardWork:
    """A shard, the tasks that it should have, and those that are not staged yet."""

    split: Split
    record: ShardRecord
    tasks: tuple[Task, ...]
    missing: tuple[Task, ...]

    def key(self, metric: str) -> str:
        """Name of the staged scores of one metric."""
        return next(task.key for task in self.tasks if task.assignment.metric == metric)


def shard_work(situation: Situation, models: Models) -> tuple[ShardWork, ...]:
    """The work on every shard that is ingested, in the order of the splits and their pieces."""
    request = situation.request
    specs = (*request.metrics, PREDICTED)
    staged = {spec.name: _staged(request.storage, spec.name) for spec in specs}
    work = []
    for split in request.splits:
        assignments = [_assignment(spec, situation, models, split) for spec in specs]
        for shard in situation.surveys[split].shards:
            if shard.record is None:
                continue
            record = shard.record
            tasks = tuple(Task(assignment=a, key=score_key(a, record)) for a in assignments)
            missing = tuple(t for t in tasks if t.key not in staged[t.assignment.metric])
            work.append(ShardWork(split=split, record=record, tasks=tasks, missing=missing))
    return tuple(work)


def foreseen(situation: Situation, split: Split) -> list[Assignment]:
    """How each metric will be computed on a split, before runs have their keys.

    A hash of each spec takes the place of its run's key, so that costs can be added up.
    """
    assignments = []
    for spec in (*situation.request.metrics, PREDICTED):
        signal = _signal(spec, situation)
        refs = tuple(
            RunRef(key=digest(run), parent=digest(run.parent) if signal is Signal.PAIRS else "")
            for run in situation.fleet.fleet.runs(signal, split)
        )
        assignments.append(_assign(spec, situation, signal, refs))
    return assignments


def _staged(storage: Storage, metric: str) -> set[str]:
    """Names of the shards' scores that are staged."""
    return {stem(name) for name in storage.names(staged_folder(metric))}


def _assignment(spec: Metric, situation: Situation, models: Models, split: Split) -> Assignment:
    signal = _signal(spec, situation)
    refs = tuple(
        RunRef(key=run.key, parent=run.parent if signal is Signal.PAIRS else "")
        for run in models.runs(signal, split)
    )
    return _assign(spec, situation, signal, refs)


def _signal(spec: Metric, situation: Situation) -> Signal:
    return situation.prediction_signal if spec is PREDICTED else spec.signal


def _assign(
    spec: Metric, situation: Situation, signal: Signal, refs: tuple[RunRef, ...]
) -> Assignment:
    return Assignment(
        metric=spec.name,
        config=situation.request.configs.get(spec.name, spec.config()),
        runs=refs,
        checkpoints=situation.fleet.checkpoints() if signal is Signal.CHECKPOINTS else 0,
    )
