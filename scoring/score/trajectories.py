"""The way of training runs, checkpoint by checkpoint: logits and input gradients of a batch.

Each (image, checkpoint) passes forward once, and backward once for each kind of gradient, whatever
number of metrics fold it. Only one checkpoint's gradients are held at a time.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from scoring.arrays import Ints
from scoring.data.shards import Shard
from scoring.folds.columns import head
from scoring.score.signals import Signals
from scoring.spec import Batch, Checkpoint, Columns, InputGradient, MetricSpec, Output


@dataclass(frozen=True, kw_only=True)
class Step:
    """A checkpoint to look at, and where it stands."""

    key: str
    """The run whose weights it is."""
    epoch: int
    """The epoch they are of; 0: the run's finished weights."""
    checkpoint: Checkpoint
    last: str
    """The run that is finished when this one's training is over."""


def steps(epochs: Mapping[str, int]) -> Iterator[Step]:
    """Every checkpoint of every run.

    Args:
        epochs: run key to the number of epochs it kept. Those that kept none, 0, were imported:
            together, in this order, they are the way of one training.
    """
    alone = [key for key, kept in epochs.items() if not kept]
    for run, (key, kept) in enumerate((k, n) for k, n in epochs.items() if n):
        for epoch in range(1, kept + 1):
            place = Checkpoint(run=run, epoch=epoch, epochs=kept)
            yield Step(key=key, epoch=epoch, checkpoint=place, last=key)
    for epoch, key in enumerate(alone, start=1):
        place = Checkpoint(run=len(epochs) - len(alone), epoch=epoch, epochs=len(alone))
        yield Step(key=key, epoch=0, checkpoint=place, last=alone[-1])


def look(
    model: nn.Module,
    batch: Batch,
    checkpoint: Checkpoint,
    kinds: Collection[InputGradient],
    predicted: Tensor | None,
) -> Output:
    """What a checkpoint says about a batch.

    Args:
        model: frozen, in eval mode; returns logits [N, C].
        batch: N examples with what the net takes, images where gradients are wanted.
        checkpoint: where in training `model` stands.
        kinds: the gradients wanted.
        predicted: [N] int64, the class that the finished run gives each example; not needed for
            gradients of the label.

    Returns:
        Logits [N, C] and, for each kind, the gradient [N, H x W], mean over colour channels. An
        example without a label has the gradient of class 0 in place of its label's.
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


class Fold:
    """A metric that folds checkpoints, and its Config."""

    def __init__(self, spec: MetricSpec, config: object) -> None:
        """Fold with this Config."""
        assert spec.start is not None
        assert spec.update is not None
        assert spec.finish is not None
        self._spec, self._config = spec, config
        self.start = partial(spec.start, config)
        self.update = spec.update
        self.finish = spec.finish

    @property
    def gradient(self) -> InputGradient | None:
        """The input gradient that it needs."""
        return self._spec.gradient

    def reads(self, at: Checkpoint) -> bool:
        """Whether it folds this checkpoint."""
        epochs = self._spec.epochs
        return epochs is None or at.epoch in epochs(self._config, at.epochs)


class Watch:
    """Looks at the checkpoints of some runs once, for all metrics that fold them."""

    def __init__(self, signals: Signals, epochs: Mapping[str, int], folds: Sequence[Fold]) -> None:
        """Watch runs that kept so many epochs each, as `steps` takes them."""
        self._signals = signals
        self._steps = list(steps(epochs))
        self._folds = folds

    def floats(self, shard: Shard) -> int:
        """How many numbers are held for an example: what it is, and two gradients a fold."""
        dims = shard.inputs.shape[1:]
        held = sum(fold.gradient is not None for fold in self._folds)
        return math.prod(dims) + 2 * held * math.prod(dims[:2])

    def columns(self, shard: Shard, rows: Ints, classes: int) -> list[list[Columns]]:
        """What each metric says of each batch of some rows of a shard."""
        batches = [
            (
                real,
                Batch(
                    ids=shard.ids[r], labels=shard.labels[r], inputs=self._signals.inputs(shard, r)
                ),
            )
            for real, r in self._signals.batches(rows)
        ]
        return self._fold(batches, classes)

    def _fold(self, batches: Sequence[tuple[int, Batch]], classes: int) -> list[list[Columns]]:
        states = [[fold.start(batch, classes) for _, batch in batches] for fold in self._folds]
        predicted: dict[str, list[Tensor]] = {}
        for step in self._steps:
            reading = [i for i, fold in enumerate(self._folds) if fold.reads(step.checkpoint)]
            kinds = {kind for i in reading if (kind := self._folds[i].gradient)}
            if any(kind.endswith("predicted") for kind in kinds) and step.last not in predicted:
                predicted = {step.last: [self._predicted(step.last, b) for _, b in batches]}
            of_batches = predicted.get(step.last, [None] * len(batches))
            for at, (_, batch) in enumerate(batches if reading else ()):
                model = self._signals.model(step.key, step.epoch)
                output = look(model, batch, step.checkpoint, kinds, of_batches[at])
                for i in reading:
                    states[i][at] = self._folds[i].update(states[i][at], output)
        return [
            [
                head(fold.finish(state), real)
                for state, (real, _) in zip(of_fold, batches, strict=True)
            ]
            for fold, of_fold in zip(self._folds, states, strict=True)
        ]

    def _predicted(self, run: str, batch: Batch) -> Tensor:
        model = self._signals.model(run)
        with torch.no_grad():
            classes: Tensor = model(batch.inputs).argmax(dim=1)
        return classes
