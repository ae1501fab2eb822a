"""Applies any metric to a small case: images, a model, and the outputs of several runs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from scoring.score.trajectories import observe
from scoring.spec import (
    Batch,
    Checkpoint,
    Columns,
    FoldedMetric,
    Metric,
    ModelMetric,
    Output,
    Signal,
    Tally,
)

CLASSES = 3
KINDS = ("label", "predicted", "log_label", "log_predicted")


@dataclass(frozen=True)
class Case:
    """All that any metric may read for N examples."""

    batch: Batch
    model: nn.Module
    runs: dict[Signal, list[Output]]

    def rows(self, rows) -> "Case":
        """Return the case with some of its rows, in that order."""
        rows = np.asarray(rows, dtype=np.int64)
        runs = {
            signal: [output_rows(output, rows) for output in outputs]
            for signal, outputs in self.runs.items()
        }
        batch = Batch(
            ids=self.batch.ids[rows],
            labels=self.batch.labels[rows],
            inputs=self.batch.inputs[torch.from_numpy(rows)],
        )
        return Case(batch, self.model, runs)


def output_rows(output: Output, rows) -> Output:
    index = torch.from_numpy(rows)
    before = None if output.before is None else output.before[index]
    seen = None if output.seen is None else output.seen[rows]
    tally = None if output.tally is None else output.tally.rows(rows)
    gradients = {kind: gradient[index] for kind, gradient in output.gradients.items()}
    return replace(
        output,
        logits=output.logits[index],
        before=before,
        seen=seen,
        tally=tally,
        gradients=gradients,
    )


def tally(probability=np.nan, margin=np.nan, wrong_since=np.nan) -> Tally:
    """Return a tally from columns, or from numbers for columns of one row."""
    named = {"probability": probability, "margin": margin, "wrong_since": wrong_since}
    columns = np.broadcast_arrays(*(np.atleast_1d(c) for c in named.values()))
    return Tally(**{n: c.astype(np.float32) for n, c in zip(named, columns, strict=True)})


def small_tally(rows: int, labels, run: int) -> Tally:
    """Return a tally of most of the labelled rows, drawn by the number of the run."""
    numbers = np.random.default_rng(run)
    held = (labels >= 0) & (np.arange(rows) != run)
    return tally(
        probability=np.where(held, numbers.random(rows), np.nan),
        margin=np.where(held, numbers.standard_normal(rows), np.nan),
        wrong_since=np.where(held, numbers.integers(1, 5, rows), np.nan),
    )


def small_net(seed: int = 0, classes: int = CLASSES) -> nn.Module:
    """Return a convolution and a linear layer for [N, 1, 6, 6], with weights drawn by `seed`."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, classes)
    ).train()


def small_case(rows: int = 12, models: int = 5) -> Case:
    """Return a case with right, wrong and unknown labels."""
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(rows, 1, 6, 6, generator=generator)
    nets = [small_net(seed).eval() for seed in range(2 * models)]
    with torch.no_grad():
        logits = [5 * net(images) for net in nets]
    firsts, seconds = logits[:models], logits[models:]
    labels = firsts[0].argmax(dim=1).numpy().copy()
    labels[1::4] = (labels[1::4] + 1) % CLASSES
    labels[2::8] = -1
    ids = np.arange(100, 100 + rows, dtype=np.int64)
    batch = Batch(ids=ids, labels=labels, inputs=images)
    predicted = firsts[0].argmax(dim=1)
    runs = {
        Signal.ENSEMBLE: [
            Output(logits=z, seen=ids % models != run, tally=small_tally(rows, labels, run))
            for run, z in enumerate(firsts)
        ],
        Signal.PAIRS: [
            Output(logits=after, before=before, tally=small_tally(rows, labels, run))
            for run, (before, after) in enumerate(zip(firsts, seconds, strict=True))
        ],
        Signal.PRIVATE: [
            Output(logits=z, epsilon=float(1 + run // 2)) for run, z in enumerate(firsts)
        ],
        Signal.REPRESENTER: [Output(logits=firsts[0], alpha_scale=0.5)],
        Signal.CHECKPOINTS: [
            observe(
                net, batch, Checkpoint(run=at // 3, epoch=1 + at % 3, epochs=3), KINDS, predicted
            )
            for at, net in enumerate(nets[:6])
        ],
    }
    return Case(batch, small_net(0), runs)


def apply(metric: Metric, case: Case, config=None) -> Columns:
    """Return the columns of a case, with the default config unless another is given."""
    if isinstance(metric, ModelMetric):
        config = metric.config() if config is None else config
        return metric.score(config, case.batch, case.model)
    return fold(metric, case.runs[metric.signal], case.batch.labels, config)


def fold(metric: FoldedMetric, outputs: Sequence[Output], labels=None, config=None) -> Columns:
    """Fold outputs, given in the order of the runs."""
    rows, classes = outputs[0].logits.shape
    labels = np.zeros(rows, dtype=np.int64) if labels is None else np.asarray(labels)
    batch = Batch(ids=np.arange(rows), labels=labels)
    config = metric.config() if config is None else config
    state = metric.fold.start(config, batch, classes)
    for output in outputs:
        if output.checkpoint is None or metric.reads(config, output.checkpoint):
            state = metric.fold.update(state, output)
    return metric.fold.finish(state)


def columns_of(columns: Columns) -> dict[str, np.ndarray]:
    """Return the columns that are not None, by name."""
    named = {name: getattr(columns, name) for name in ("value", "spread", "tiebreak", "status")}
    return {name: column for name, column in named.items() if column is not None}


def joined(parts: Sequence[Columns]) -> dict[str, np.ndarray]:
    """Return the columns of several parts, one after the other."""
    named = [columns_of(part) for part in parts]
    return {name: np.concatenate([part[name] for part in named]) for name in named[0]}
