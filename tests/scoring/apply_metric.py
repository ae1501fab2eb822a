"""Applies any metric to a small case: images, a model, and the outputs of several runs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from scoring.score.trajectories import Fold, look
from scoring.spec import Batch, Checkpoint, Columns, MetricSpec, Output, Signal

CLASSES = 3
KINDS = ("label", "predicted", "log_label", "log_predicted")


@dataclass(frozen=True)
class Case:
    """What any metric may read of N examples."""

    batch: Batch
    model: nn.Module
    runs: dict[Signal, list[Output]]

    def rows(self, rows) -> "Case":
        """The same case, reduced to some of its rows, in that order."""
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
    gradients = {kind: gradient[index] for kind, gradient in output.gradients.items()}
    return replace(output, logits=output.logits[index], before=before, gradients=gradients)


def small_net(seed: int = 0, classes: int = CLASSES) -> nn.Module:
    """A convolution and a linear layer on [N, 1, 6, 6], with weights drawn by `seed`."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, classes)
    ).train()


def small_case(rows: int = 12, models: int = 5) -> Case:
    """A case whose labels hold right, wrong and unknown ones."""
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
        Signal.ENSEMBLE: [Output(logits=z) for z in firsts],
        Signal.PAIRS: [
            Output(logits=after, before=before)
            for before, after in zip(firsts, seconds, strict=True)
        ],
        Signal.PRIVATE: [
            Output(logits=z, epsilon=float(1 + run // 2)) for run, z in enumerate(firsts)
        ],
        Signal.REPRESENTER: [Output(logits=firsts[0], alpha_scale=0.5)],
        Signal.CHECKPOINTS: [
            look(net, batch, Checkpoint(run=at // 3, epoch=1 + at % 3, epochs=3), KINDS, predicted)
            for at, net in enumerate(nets[:6])
        ],
    }
    return Case(batch, small_net(0), runs)


def apply(spec: MetricSpec, case: Case, config=None) -> Columns:
    """What a metric says of a case, with its default config unless another is given."""
    config = spec.config() if config is None else config
    if spec.score is not None:
        return spec.score(config, case.batch, case.model)
    return fold(spec, case.runs[spec.signal], case.batch.labels, config)


def fold(spec: MetricSpec, outputs: Sequence[Output], labels=None, config=None) -> Columns:
    """Fold outputs, given in the order of the runs."""
    rows, classes = outputs[0].logits.shape
    labels = np.zeros(rows, dtype=np.int64) if labels is None else np.asarray(labels)
    batch = Batch(ids=np.arange(rows), labels=labels)
    config = spec.config() if config is None else config
    state = spec.start(config, batch, classes)
    for output in outputs:
        if output.checkpoint is None or Fold(spec, config).reads(output.checkpoint):
            state = spec.update(state, output)
    return spec.finish(state)


def columns_of(columns: Columns) -> dict[str, np.ndarray]:
    """The columns that are there, by name."""
    named = {name: getattr(columns, name) for name in ("value", "spread", "tiebreak", "status")}
    return {name: column for name, column in named.items() if column is not None}


def joined(parts: Sequence[Columns]) -> dict[str, np.ndarray]:
    """The columns of several parts, one after the other."""
    named = [columns_of(part) for part in parts]
    return {name: np.concatenate([part[name] for part in named]) for name in named[0]}
