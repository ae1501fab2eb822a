"""Scores one shard for any set of metrics, and stages each result."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from scoring.arrays import Floats
from scoring.data.shards import Shard, ShardRecord
from scoring.folds.columns import head, joined
from scoring.registry import spec_of
from scoring.score.signals import SignalOptions, Signals
from scoring.score.trajectories import Fold, Watch
from scoring.spec import Batch, Columns, Output, Passes, Signal
from scoring.staged.scores import write_scores
from scoring.store.keys import digest
from scoring.store.layout import staged_path
from scoring.store.parallel import do_in_parallel
from scoring.store.storage import Storage

NOT_FINITE = "not_finite"  # the models' outputs on this row are not numbers


@dataclass(frozen=True, kw_only=True)
class RunRef:
    """A finished run as a metric reads it."""

    key: str
    parent: str = ""
    """The run it was fine-tuned from, for metrics that compare the two."""


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """How a metric is computed on the examples of a split."""

    metric: str
    config: object
    runs: tuple[RunRef, ...]
    checkpoints: int = 0
    """How many checkpoints all its runs are planned to keep, for what it will cost."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One metric on one shard, and the name of the result."""

    assignment: Assignment
    key: str


def score_key(how: Assignment, record: ShardRecord, every: int = 1) -> str:
    """Name of a metric's scores on a shard, or on every so-manieth row of it."""
    made_of = [how.metric, spec_of(how.metric).version, how.config, how.runs, record]
    return digest(made_of if every == 1 else [*made_of, every])


def passes(assignments: Iterable[Assignment]) -> Passes:
    """What it costs an example to be scored by all of them at once: each run is asked once."""
    total, outputs = Passes(forward=0.0), set()
    looks: dict[str | None, int] = {}
    for how in assignments:
        spec = spec_of(how.metric)
        if spec.signal is Signal.CHECKPOINTS:
            looks |= {None: how.checkpoints, spec.gradient: how.checkpoints}
        elif spec.signal is Signal.BASE:
            cost = spec.passes(how.config)
            total = Passes(
                forward=total.forward + cost.forward, backward=total.backward + cost.backward
            )
        else:
            # Runs of a fleet that is yet to be trained on unseen data have no name.
            names = ((r.key or f"{how.metric}-{i}", r.parent) for i, r in enumerate(how.runs))
            outputs |= {name for pair in names for name in pair if name}
    return Passes(
        forward=total.forward + len(outputs) + looks.pop(None, 0),
        backward=total.backward + sum(looks.values()),
    )


class Scorer:
    """Scores shards one after another, keeping weights between them."""

    def __init__(self, storage: Storage, options: SignalOptions) -> None:
        self._storage = storage
        self._signals = Signals(storage, options)

    def score(self, content: str, shard: Shard, classes: int, tasks: Sequence[Task]) -> None:
        """Compute `tasks` on a shard and stage each result as it is done.

        Args:
            content: the shard's content hash.
            shard: N decoded rows.
            classes: width of the models' heads.
            tasks: what is missing of this shard.
        """
        base, watch, folds = _by_signal(tasks)
        if folds:
            folded = self._fold(content, shard, classes, [task.assignment for task in folds])
            self._stage_all(folds, shard, folded)
        if watch:
            watched = self._watch(shard, classes, [task.assignment for task in watch])
            self._stage_all(watch, shard, watched)
        for task in base:
            self._stage(task, shard, self._score(task.assignment, shard))

    def _score(self, task: Assignment, shard: Shard) -> Columns:
        spec, model = spec_of(task.metric), self._signals.model(task.runs[0].key)
        assert spec.score is not None
        parts = []
        for real, rows in self._signals.batches(np.arange(len(shard.ids))):
            inputs = self._signals.inputs(shard, rows)
            batch = Batch(ids=shard.ids[rows], labels=shard.labels[rows], inputs=inputs)
            parts.append(head(spec.score(task.config, batch, model), real))
        return joined(parts)

    def _fold(
        self, content: str, shard: Shard, classes: int, tasks: Sequence[Assignment]
    ) -> list[Columns]:
        runs = dict.fromkeys(
            key for task in tasks for run in task.runs for key in (run.parent, run.key) if key
        )
        parts: list[list[Columns]] = [[] for _ in tasks]
        for rows, logits in self._signals.logits(runs, content, shard, classes):
            batch = Batch(ids=shard.ids[rows], labels=shard.labels[rows])
            for task, done in zip(tasks, parts, strict=True):
                done.append(self._fold_block(task, batch, classes, logits))
        return [joined(done) for done in parts]

    def _fold_block(
        self, task: Assignment, batch: Batch, classes: int, logits: Mapping[str, Tensor]
    ) -> Columns:
        spec = spec_of(task.metric)
        assert spec.start is not None
        assert spec.update is not None
        assert spec.finish is not None
        state = spec.start(task.config, batch, classes)
        for run in task.runs:
            output = Output(
                logits=logits[run.key],
                before=logits[run.parent] if run.parent else None,
                epsilon=self._signals.record(run.key).epsilon,
                alpha_scale=self._signals.record(run.key).alpha_scale,
            )
            state = spec.update(state, output)
        return spec.finish(state)

    def _watch(self, shard: Shard, classes: int, tasks: Sequence[Assignment]) -> list[Columns]:
        """Fold checkpoints: each is looked at once for all metrics."""
        runs = dict.fromkeys(run.key for task in tasks for run in task.runs)
        folds = [Fold(spec_of(task.metric), task.config) for task in tasks]
        watch = Watch(self._signals, {run: self._signals.epochs(run) for run in runs}, folds)
        parts: list[list[Columns]] = [[] for _ in tasks]
        for rows in self._signals.blocks(len(shard.ids), watch.floats(shard)):
            for done, columns in zip(parts, watch.columns(shard, rows, classes), strict=True):
                done += columns
        return [joined(done) for done in parts]

    def _stage_all(self, tasks: Sequence[Task], shard: Shard, made: Sequence[Columns]) -> None:
        do_in_parallel(
            lambda pair: self._stage(pair[0], shard, pair[1]), zip(tasks, made, strict=True)
        )

    def _stage(self, task: Task, shard: Shard, columns: Columns) -> None:
        def readable(column: Floats | None) -> Floats | None:
            return None if column is None else np.where(shard.decodable, column, np.nan)

        status = np.full(len(shard.ids), "") if columns.status is None else columns.status
        finite = np.isfinite(columns.value)
        status = np.where(~finite & (status == ""), NOT_FINITE, status)
        write_scores(
            self._storage,
            staged_path(task.assignment.metric, task.key),
            ids=shard.ids,
            value=np.where(shard.decodable & finite, columns.value, np.nan),
            spread=readable(columns.spread),
            tiebreak=readable(columns.tiebreak),
            status=np.where(shard.decodable, status, f"undecodable_{shard.kind}"),
        )


def _by_signal(tasks: Sequence[Task]) -> tuple[list[Task], list[Task], list[Task]]:
    """Those that need the base model itself, its checkpoints, and finished runs' outputs."""
    base: list[Task] = []
    watch: list[Task] = []
    folds: list[Task] = []
    of = {Signal.BASE: base, Signal.CHECKPOINTS: watch}
    for task in tasks:
        of.get(spec_of(task.assignment.metric).signal, folds).append(task)
    return base, watch, folds
