"""Training trajectories, checkpoint by checkpoint: logits and input gradients of a batch.

An image passes forward once at each checkpoint, and backward once for each kind of gradient,
however many metrics fold them. The gradients of only one checkpoint are held at a time.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from scoring.arrays import Ints
from scoring.data.shards import Shard
from scoring.folds.columns import head
from scoring.score.signals import Signals
from scoring.spec import Batch, Checkpoint, Columns, FoldedMetric, InputGradient, Output


@dataclass(frozen=True, kw_only=True)
class Step:
    """A checkpoint of a trajectory."""

    run: str
    """The run that kept it."""
    epoch: int
    """The epoch of its weights; 0: the run's finished weights."""
    checkpoint: Checkpoint
    finished: str
    """The run that the training ended with."""


def steps(epochs: Mapping[str, int]) -> Iterator[Step]:
    """List every checkpoint of every run.

    Args:
        epochs: run key to the number of epochs it kept. Runs that kept none, 0, were imported:
            together, in this order, they are the checkpoints of one training.
    """
    imported = [key for key, kept in epochs.items() if not kept]
    for number, (key, kept) in enumerate((k, n) for k, n in epochs.items() if n):
        for epoch in range(1, kept + 1):
            position = Checkpoint(run=number, epoch=epoch, epochs=kept)
            yield Step(run=key, epoch=epoch, checkpoint=position, finished=key)
    for epoch, key in enumerate(imported, start=1):
        number = len(epochs) - len(imported)
        position = Checkpoint(run=number, epoch=epoch, epochs=len(imported))
        yield Step(run=key, epoch=0, checkpoint=position, finished=imported[-1])


def observe(
    model: nn.Module,
    batch: Batch,
    checkpoint: Checkpoint,
    kinds: Collection[InputGradient],
    predicted: Tensor | None,
) -> Output:
    """Compute a checkpoint's logits and input gradients of a batch.

    Args:
        model: frozen, in eval mode; returns logits [N, C].
        batch: N examples with inputs, which are images if there are `kinds`.
        checkpoint: position of `model` in training.
        kinds: which gradients to compute.
        predicted: [N] int64, the class that the finished run predicts; only gradients of that class
            need it.

    Returns:
        Logits [N, C] and, for each kind, the gradient [N, H x W], mean over colour channels. Where
        there is no label, gradients of the label are those of class 0.
    """
    assert batch.inputs is not None
    if not kinds:
        with torch.inference_mode():
            return Output(logits=model(batch.inputs).float(), checkpoint=checkpoint)
    images = batch.inputs.detach().requires_grad_()
    labels = torch.from_numpy(batch.labels).to(images.device).clamp(min=0)
    with torch.enable_grad():
        logits = model(images).float()
        gradients = {}
        for left, kind in zip(range(len(kinds) - 1, -1, -1), sorted(kinds), strict=True):
            scores = logits.log_softmax(dim=1) if kind.startswith("log_") else logits
            classes = labels if kind.endswith("label") else predicted
            assert classes is not None
            of_class = scores.gather(1, classes.unsqueeze(1)).sum()
            (gradient,) = torch.autograd.grad(of_class, images, retain_graph=left > 0)
            gradients[kind] = gradient.mean(dim=1).flatten(1)
    return Output(logits=logits.detach(), checkpoint=checkpoint, gradients=gradients)


@dataclass(frozen=True)
class Folding:
    """A metric that folds checkpoints, with its config."""

    metric: FoldedMetric
    config: object


class Trajectories:
    """Visits the checkpoints of some runs once, for all metrics that fold them."""

    def __init__(
        self, signals: Signals, epochs: Mapping[str, int], foldings: Sequence[Folding]
    ) -> None:
        """Take runs with the number of epochs that each kept, as `steps` does."""
        self._signals = signals
        self._steps = list(steps(epochs))
        self._foldings = foldings

    def floats(self, shard: Shard) -> int:
        """Return how many numbers are held per example: the input, two gradients per variance."""
        dims = shard.inputs.shape[1:]
        variances = sum(folding.metric.gradient is not None for folding in self._foldings)
        return math.prod(dims) + 2 * variances * math.prod(dims[:2])

    def columns(self, shard: Shard, rows: Ints, classes: int) -> list[list[Columns]]:
        """Return the columns of each metric, batch by batch, for some rows of a shard."""
        batches = [
            (real, self._batch(shard, padded)) for real, padded in self._signals.batches(rows)
        ]
        states = [
            [f.metric.fold.start(f.config, batch, classes) for _, batch in batches]
            for f in self._foldings
        ]
        self._fold([batch for _, batch in batches], states)
        return [
            [
                head(f.metric.fold.finish(state), real)
                for state, (real, _) in zip(of_metric, batches, strict=True)
            ]
            for f, of_metric in zip(self._foldings, states, strict=True)
        ]

    def _batch(self, shard: Shard, rows: Ints) -> Batch:
        inputs = self._signals.inputs(shard, rows)
        return Batch(ids=shard.ids[rows], labels=shard.labels[rows], inputs=inputs)

    def _fold(self, batches: Sequence[Batch], states: Sequence[list[object]]) -> None:
        """Update the states of each metric, one per batch, with every checkpoint."""
        predicted: dict[str, list[Tensor]] = {}
        for step in self._steps:
            readers = [
                (f.metric, of_metric)
                for f, of_metric in zip(self._foldings, states, strict=True)
                if f.metric.reads(f.config, step.checkpoint)
            ]
            kinds = {kind for metric, _ in readers if (kind := metric.gradient)}
            if any(k.endswith("predicted") for k in kinds) and step.finished not in predicted:
                predicted = {step.finished: [self._predicted(step.finished, b) for b in batches]}
            classes = predicted.get(step.finished, [None] * len(batches))
            for at, batch in enumerate(batches if readers else ()):
                model = self._signals.model(step.run, step.epoch)
                output = observe(model, batch, step.checkpoint, kinds, classes[at])
                for metric, of_metric in readers:
                    of_metric[at] = metric.fold.update(of_metric[at], output)

    def _predicted(self, run: str, batch: Batch) -> Tensor:
        model = self._signals.model(run)
        with torch.no_grad():
            classes: Tensor = model(batch.inputs).argmax(dim=1)
        return classes
