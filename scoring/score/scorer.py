"""Scores one shard for any set of metrics, and stages each result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from torch import Tensor

from scoring.arrays import Bools, Floats
from scoring.data.shards import Shard
from scoring.folds.columns import head, joined
from scoring.registry import metric_or_prediction
from scoring.runs.membership import Membership
from scoring.runs.tally_file import read_tally
from scoring.score.assignments import Assignment, Task
from scoring.score.signals import SignalOptions, Signals
from scoring.score.trajectories import Folding, Trajectories
from scoring.spec import Batch, Columns, FoldedMetric, ModelMetric, Output, Signal
from scoring.staged.probabilities import probability_lists
from scoring.staged.scores import write_scores
from scoring.statuses import NOT_FINITE
from scoring.store.keys import Split
from scoring.store.layout import staged_path
from scoring.store.parallel import do_in_parallel, in_parallel
from scoring.store.storage import Storage
from scoring.tally import Tally

Folded = tuple[FoldedMetric, Assignment]


class Scorer:
    """Scores shards one after another, keeping weights between them."""

    def __init__(self, storage: Storage, dataset: str, options: SignalOptions) -> None:
        self._storage = storage
        self._signals = Signals(storage, options)
        self._membership = Membership(storage, dataset)

    def score(self, content: str, shard: Shard, classes: int, tasks: Sequence[Task]) -> None:
        """Compute `tasks` on a shard and stage each result as soon as it is there.

        Args:
            content: the shard's content hash.
            shard: N decoded rows.
            classes: width of the models' heads.
            tasks: results that the shard lacks.
        """
        on_model: list[tuple[ModelMetric, Task]] = []
        on_checkpoints: list[tuple[FoldedMetric, Task]] = []
        on_logits: list[tuple[FoldedMetric, Task]] = []
        for task in tasks:
            metric = metric_or_prediction(task.assignment.metric)
            if isinstance(metric, ModelMetric):
                on_model.append((metric, task))
            elif metric.signal is Signal.CHECKPOINTS:
                on_checkpoints.append((metric, task))
            else:
                on_logits.append((metric, task))
        if on_logits:
            columns = self._fold_logits(content, shard, classes, _assignments(on_logits))
            self._stage_all([task for _, task in on_logits], shard, columns)
        if on_checkpoints:
            columns = self._fold_checkpoints(shard, classes, _assignments(on_checkpoints))
            self._stage_all([task for _, task in on_checkpoints], shard, columns)
        for model_metric, task in on_model:
            self._stage(task, shard, self._score(model_metric, task.assignment, shard))

    def _score(self, metric: ModelMetric, how: Assignment, shard: Shard) -> Columns:
        model, parts = self._signals.model(how.runs[0].key), []
        for real, rows in self._signals.batches(np.arange(len(shard.ids))):
            inputs = self._signals.inputs(shard, rows)
            batch = Batch(ids=shard.ids[rows], labels=shard.labels[rows], inputs=inputs)
            parts.append(head(metric.score(how.config, batch, model), real))
        return joined(parts)

    def _fold_logits(
        self, content: str, shard: Shard, classes: int, folds: Sequence[Folded]
    ) -> list[Columns]:
        runs = dict.fromkeys(
            key for _, how in folds for run in how.runs for key in (run.parent, run.key) if key
        )
        tallies = self._tallies(folds, shard)
        parts: list[list[Columns]] = [[] for _ in folds]
        for rows, logits in self._signals.logits(runs, content, shard, classes):
            block = _Block(
                batch=Batch(ids=shard.ids[rows], labels=shard.labels[rows]),
                classes=classes,
                logits=logits,
                tallies={run: tally.rows(rows) for run, tally in tallies.items()},
            )
            for (metric, how), done in zip(folds, parts, strict=True):
                done.append(self._fold_block(metric, how, block))
        return [joined(done) for done in parts]

    def _tallies(self, folds: Sequence[Folded], shard: Shard) -> dict[tuple[str, Split], Tally]:
        """Read what runs added up of a shard of a split while they trained, if it is read."""
        wanted = dict.fromkeys(
            (run.key, how.split) for metric, how in folds if metric.reads_tally for run in how.runs
        )
        there = [of for of in wanted if self._keeps_tally(*of)]

        def read(of: tuple[str, Split]) -> Tally:
            record = self._signals.record(of[0])
            return read_tally(self._storage, record, shard.ids, shard.labels)

        return dict(zip(there, in_parallel(read, there), strict=True))

    def _keeps_tally(self, run: str, split: Split) -> bool:
        """Return whether a run looked at this very split while it trained."""
        record = self._signals.record(run)
        looked = record.tallied and record.spec.tallies == split
        return looked and self._membership.is_of_dataset(record, split)

    def _fold_block(self, metric: FoldedMetric, how: Assignment, block: "_Block") -> Columns:
        state = metric.fold.start(how.config, block.batch, block.classes)
        for run in how.runs:
            record = self._signals.record(run.key)
            output = Output(
                logits=block.logits[run.key],
                before=block.logits[run.parent] if run.parent else None,
                seen=self._membership.seen(record, how.split, block.batch.ids)
                if metric.reads_seen
                else None,
                tally=block.tallies.get((run.key, how.split)) if metric.reads_tally else None,
                epsilon=record.epsilon,
                alpha_scale=record.alpha_scale,
            )
            state = metric.fold.update(state, output)
        return metric.fold.finish(state)

    def _fold_checkpoints(
        self, shard: Shard, classes: int, folds: Sequence[Folded]
    ) -> list[Columns]:
        runs = dict.fromkeys(run.key for _, how in folds for run in how.runs)
        trajectories = Trajectories(
            self._signals,
            {run: self._signals.epochs(run) for run in runs},
            [Folding(metric, how.config) for metric, how in folds],
        )
        parts: list[list[Columns]] = [[] for _ in folds]
        for rows in self._signals.blocks(len(shard.ids), trajectories.floats(shard)):
            columns = trajectories.columns(shard, rows, classes)
            for done, more in zip(parts, columns, strict=True):
                done += more
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
        known = shard.decodable & finite
        status = np.where(~finite & (status == ""), NOT_FINITE, status)
        write_scores(
            self._storage,
            staged_path(task.assignment.metric, task.key),
            ids=shard.ids,
            value=np.where(known, columns.value, np.nan),
            spread=readable(columns.spread),
            tiebreak=readable(columns.tiebreak),
            status=np.where(shard.decodable, status, f"undecodable_{shard.kind}"),
            lists=_lists(columns, known),
        )


@dataclass(frozen=True, kw_only=True)
class _Block:
    """Rows of a shard that are folded together."""

    batch: Batch
    classes: int
    logits: Mapping[str, Tensor]
    """By run, [N, C]."""
    tallies: Mapping[tuple[str, Split], Tally]
    """By run and split, of those that looked at it."""


def _lists(columns: Columns, known: Bools) -> Mapping[str, pa.Array]:
    """Return the probabilities of some rows as columns of lists, if there are any."""
    if columns.classes is None or columns.probabilities is None:
        return {}
    return probability_lists(columns.classes, columns.probabilities, columns.over_epochs, known)


def _assignments(tasks: Sequence[tuple[FoldedMetric, Task]]) -> list[Folded]:
    return [(metric, task.assignment) for metric, task in tasks]
