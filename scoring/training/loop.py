"""The training loop: train a run from its spec and data, deterministically.

The same spec and data on the same kind of device give the same weights, bit for bit: the number of
threads comes from the spec, and all random numbers from generators seeded by it. The caller's own
threads and generators are left untouched. (Another processor model may round differently.)
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scoring.data.training_set import TrainingSet
from scoring.errors import TrainingDiverged
from scoring.inputs import as_input
from scoring.nets import build
from scoring.run_spec import Recipe, RunSpec
from scoring.training.batches import augment, gatherer, shuffled_batches, training_rows
from scoring.training.checkpoints import snapshot
from scoring.training.privacy import Mechanism, calibrate
from scoring.training.private import private_step
from scoring.training.reproducible import (
    derived_seed,
    generator,
    reproducible,
    seed_default_generators,
)
from scoring.training.resumable import State, Training
from scoring.training.steps import BatchResult, Step, learning_rate, optimizer_for, plain_step

__all__ = ["LOOP_VERSION", "OnBatch", "OnEpoch", "Trained", "Training", "train"]

LOOP_VERSION = 1
"""Raise it whenever a spec would give other weights than before: it is part of every run's key."""

_FITTED_TO = 2000  # rows

OnEpoch = Callable[[Training], None]
"""Callback that receives the training after each epoch, in the training's surroundings."""
OnBatch = Callable[[int, Tensor, BatchResult], None]
"""Callback that receives each batch: its epoch from 1, its rows [B] on the CPU, its result."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A finished run."""

    weights: dict[str, Tensor]
    """State of the inner net, on the CPU: float32, counters int64."""
    losses: tuple[float, ...]
    """Mean cross-entropy of each epoch in nats, measured before each step; not private."""
    accuracy: float
    """Training accuracy in the last epoch, measured before each step; not private."""
    epsilon: float | None
    """Privacy spent at the spec's delta; None if training was not private."""
    noise_multiplier: float | None
    """Noise in units of the clipping norm; None if training was not private."""
    rows: int
    """Number of training rows."""
    epochs: int
    seconds: float
    """Wall time."""


def train(
    spec: RunSpec,
    data: TrainingSet,
    *,
    start: State | None = None,
    on_epoch: OnEpoch | None = None,
    on_batch: OnBatch | None = None,
    resume: State | None = None,
) -> Trained:
    """Train the run that `spec` describes.

    Args:
        spec: a plain, fine-tuned or private run.
        data: the rows of `spec.split`; never copied as a whole, may be read-only.
        start: weights of the inner net to start from; required for a fine-tuned run.
        on_epoch: called after every epoch; raising an exception ends the training.
        on_batch: called after every step.
        resume: state saved by `Training.save` in an earlier process; the weights come out as if
            there had been no break.

    Raises:
        UserError: the net or the privacy budget does not suit the data.
        TrainingDiverged: the loss is no longer a finite number.
    """
    if spec.kind == "imported" or (spec.kind == "finetuned" and start is None):
        raise ValueError(f"expected a run to train, with weights to fine-tune, got {spec.label}")
    started = time.perf_counter()
    rows = training_rows(spec, data)
    private = _mechanism(spec, len(rows))
    with reproducible(spec.threads, spec.device):
        training = _new_training(spec, data, rows, start)
        if resume is not None:
            training.load(resume)
        earlier_seconds = training.seconds

        def after_epoch(training: Training) -> None:
            training.seconds = earlier_seconds + time.perf_counter() - started
            if on_epoch is not None:
                on_epoch(training)

        _train_epochs(spec, data, rows, training, private, after_epoch, on_batch)
    epochs = len(training.losses)
    return Trained(
        weights=snapshot(training.model.net),
        losses=tuple(training.losses),
        accuracy=training.accuracy,
        epsilon=private.spent(epochs) if private else None,
        noise_multiplier=private.noise_multiplier if private else None,
        rows=len(rows),
        epochs=epochs,
        seconds=earlier_seconds + time.perf_counter() - started,
    )


def _mechanism(spec: RunSpec, rows: int) -> Mechanism | None:
    if spec.kind != "private":
        return None
    if spec.privacy is None or spec.dtype != "float32":
        raise ValueError(f"expected a budget and float32 for {spec.label}, got {spec.dtype}")
    return calibrate(spec.privacy, spec.recipe, rows)


def _new_training(spec: RunSpec, data: TrainingSet, rows: Tensor, start: State | None) -> Training:
    """Set up a training before its first epoch, with the net in channels-last layout."""
    seed_default_generators(derived_seed(spec.seed, "initialisation"), spec.device)
    model = build(spec.net, shape=data.shape, classes=data.classes, dropout=spec.recipe.dropout)
    if start is not None:
        model.net.load_state_dict(dict(start))
    elif spec.kind != "private":  # what is fitted to data is not private
        decoded, _ = gatherer(data, torch.device("cpu"))(rows[:_FITTED_TO])
        model.fit_to(as_input(decoded))
    model.to(device=spec.device).to(memory_format=torch.channels_last)
    seed_default_generators(derived_seed(spec.seed, "dropout"), spec.device)
    streams = {purpose: generator(spec.seed, purpose) for purpose in ("order", "augmentation")}
    if spec.kind == "private":
        streams["noise"] = generator(spec.seed, "noise", spec.device)
    return Training(
        model=model,
        optimizer=optimizer_for(model, spec.recipe),
        streams=streams,
        device=spec.device,
    )


def _train_epochs(
    spec: RunSpec,
    data: TrainingSet,
    rows: Tensor,
    training: Training,
    private: Mechanism | None,
    after_epoch: OnEpoch,
    on_batch: OnBatch | None,
) -> None:
    """Continue `training` in place until the recipe is done."""
    recipe, streams = spec.recipe, training.streams
    gather = gatherer(data, torch.device(spec.device))
    step = _make_step(spec, training, private)
    steps = recipe.epochs_for(len(rows)) * recipe.steps_an_epoch(len(rows))
    while not _done(training.losses, recipe, len(rows)):
        epoch = len(training.losses) + 1
        totals: list[tuple[Tensor, Tensor]] = []
        count = 0
        for batch in _batches(spec, rows, private, streams["order"]):
            rate = learning_rate(recipe, epoch, training.steps, steps)
            training.optimizer.param_groups[0]["lr"] = rate
            decoded, labels = gather(batch)
            inputs = as_input(augment(decoded, recipe, streams["augmentation"]))
            result = step(inputs, labels)
            totals.append((result.loss, result.correct))
            count += len(batch)
            training.steps += 1
            if on_batch is not None:
                on_batch(epoch, batch, result)
        loss, training.accuracy = _means(totals, count)
        if not math.isfinite(loss):
            raise TrainingDiverged(
                f"{spec.label}: expected a finite training loss, got {loss} in epoch {epoch}"
            )
        training.losses.append(loss)
        after_epoch(training)


def _done(losses: Sequence[float], recipe: Recipe, rows: int) -> bool:
    return len(losses) >= recipe.epochs_for(rows) or _flat(losses, recipe.until_flat)


def _batches(
    spec: RunSpec, rows: Tensor, private: Mechanism | None, stream: torch.Generator
) -> Iterator[Tensor]:
    """Return the batches of one epoch, as row numbers."""
    if private is not None:
        return private.batches(rows, stream)
    return shuffled_batches(rows, spec.recipe.batch_rows, stream)


def _make_step(spec: RunSpec, training: Training, private: Mechanism | None) -> Step:
    model, optimizer = training.model, training.optimizer
    if private is None:
        return plain_step(model, optimizer, bfloat16=spec.dtype == "bfloat16")
    return private_step(
        model,
        optimizer,
        noise_multiplier=private.noise_multiplier,
        max_grad_norm=private.privacy.max_grad_norm,
        expected_rows=private.expected_rows,
        stream=training.streams["noise"],
    )


def _means(totals: Sequence[tuple[Tensor, Tensor]], rows: int) -> tuple[float, float]:
    """Return the mean loss and the accuracy over an epoch's batches."""
    columns = zip(*totals, strict=True)
    loss, correct = (torch.stack(values).double().sum().item() for values in columns)
    return loss / max(1, rows), correct / max(1, rows)


def _flat(losses: Sequence[float], until_flat: float) -> bool:
    """Whether the last epoch's loss is not clearly below the best one before it."""
    if not until_flat or len(losses) < 2:
        return False
    return losses[-1] >= (1 - until_flat) * min(losses[:-1])
