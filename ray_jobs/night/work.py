"""What to score: the tasks of each ingested shard, and which of them are still missing."""

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
    """A shard, all its tasks, and those whose scores are not staged yet."""

    split: Split
    record: ShardRecord
    tasks: tuple[Task, ...]
    missing: tuple[Task, ...]

    def key(self, metric: str) -> str:
        """Return the key of one metric's staged scores."""
        return next(task.key for task in self.tasks if task.assignment.metric == metric)


def shard_work(situation: Situation, models: Models) -> tuple[ShardWork, ...]:
    """List the work on every ingested shard, in the order of the splits and their pieces."""
    request = situation.request
    specs = situation.computed
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


def provisional_assignments(situation: Situation, split: Split) -> list[Assignment]:
    """Assign runs to each metric of a split before runs have their keys.

    A hash of its spec stands in for each run's key, which is enough to add up costs.
    """
    assignments = []
    for spec in situation.computed:
        signal = _signal(spec, situation)
        refs = tuple(
            RunRef(key=digest(run), parent=digest(run.parent) if signal is Signal.PAIRS else "")
            for run in situation.fleet.fleet.runs(signal, split)
        )
        assignments.append(_assign(spec, situation, split, signal, refs))
    return assignments


def _staged(storage: Storage, metric: str) -> set[str]:
    """Return the keys of a metric's staged scores."""
    return {stem(name) for name in storage.names(staged_folder(metric))}


def _assignment(spec: Metric, situation: Situation, models: Models, split: Split) -> Assignment:
    signal = _signal(spec, situation)
    refs = tuple(
        RunRef(key=run.key, parent=run.parent if signal is Signal.PAIRS else "")
        for run in models.runs(signal, split)
    )
    return _assign(spec, situation, split, signal, refs)


def _signal(spec: Metric, situation: Situation) -> Signal:
    return situation.prediction_signal if spec is PREDICTED else spec.signal


def _assign(
    spec: Metric, situation: Situation, split: Split, signal: Signal, refs: tuple[RunRef, ...]
) -> Assignment:
    return Assignment(
        metric=spec.name,
        config=situation.request.configs.get(spec.name, spec.config()),
        split=split,
        runs=refs,
        checkpoints=situation.fleet.checkpoints() if signal is Signal.CHECKPOINTS else 0,
    )
