"""Train a run from its spec and write it, resuming where an earlier process stopped."""

import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

import torch
from torch import Tensor, nn

from scoring.data.training_set import TrainingSet
from scoring.errors import OutOfTime
from scoring.inputs import as_input
from scoring.runs.record import Run, RunRecord, frozen, load_weights, write_run
from scoring.runs.tally_file import write_tally
from scoring.runs.tallying import Tallying
from scoring.store.keys import Split
from scoring.store.layout import epoch_path, import_path, training_path
from scoring.store.sealed import read_sealed, read_sound, write_sealed
from scoring.store.storage import Storage
from scoring.training.checkpoints import exact_bytes, from_bytes, to_bytes
from scoring.training.loop import Trained, Training, train

_EVALUATION_ROWS = 1000
_SAVE_S = 60.0


def train_run(
    storage: Storage,
    run: Run,
    versions: Mapping[Split, str],
    data: Mapping[Split, TrainingSet],
    *,
    is_over: Callable[[], bool] = lambda: False,
) -> RunRecord:
    """Train one run from its spec and write it, resuming where an earlier process stopped.

    Args:
        storage: the store; a fine-tuned run's parent is read from it.
        run: the run to train.
        versions: dataset version of each split, the same as were given to `identify`.
        data: both splits, decoded; the one it does not train on only measures its accuracy.
        is_over: whether no epoch is to be begun any more; asked after each.

    Raises:
        OutOfTime: it is over; the unfinished training is kept.
    """
    spec = run.spec
    tally: Tallying | None = None
    if spec.kind == "imported":
        weights = from_bytes(read_sealed(storage, import_path(spec.weights)))
        trained = None
    else:
        trained, tally = _train(storage, run, data, is_over)
        weights = trained.weights
        if tally:
            write_tally(storage, run.key, tally.finish(trained.epochs))
    record = replace(_record(run, versions, data, weights, trained), tallied=tally is not None)
    write_run(storage, record, weights)
    storage.delete(training_path(run.key))
    return record


def _train(
    storage: Storage,
    run: Run,
    data: Mapping[Split, TrainingSet],
    is_over: Callable[[], bool],
) -> tuple[Trained, Tallying | None]:
    """Train, saving the unfinished training once a minute, all that a lost machine costs.

    Returns:
        The training and its tally, if it keeps one and kept it from the first epoch on.
    """
    unfinished = training_path(run.key)
    resume, tally = _unfinished(storage, unfinished), Tallying.begin(run.spec, data)
    if tally and resume and not tally.load(resume):
        tally = None
    saved_at = time.monotonic()

    def after_epoch(training: Training) -> None:
        nonlocal saved_at
        if tally:
            tally.end_epoch(training)
        if run.spec.keep_epochs:
            path = epoch_path(run.key, len(training.losses))
            write_sealed(storage, path, to_bytes(training.weights))
        out_of_time = is_over()
        if out_of_time or time.monotonic() - saved_at > _SAVE_S:
            state = {**training.save(), **(tally.save() if tally else {})}
            write_sealed(storage, unfinished, exact_bytes(state))
            saved_at = time.monotonic()
        if out_of_time:
            raise OutOfTime(f"{run.spec.label}: stopped after epoch {len(training.losses)}")

    trained = train(
        run.spec,
        data[run.spec.split],
        start=load_weights(storage, run.parent) if run.parent else None,
        on_epoch=after_epoch,
        on_batch=tally.on_batch if tally else None,
        resume=resume,
    )
    return trained, tally


def _unfinished(storage: Storage, path: str) -> dict[str, Tensor] | None:
    """Read an unfinished training; None if there is none, or a damaged one."""
    found = read_sound(storage, [path])
    return from_bytes(found[path]) if path in found else None


def _record(
    run: Run,
    versions: Mapping[Split, str],
    data: Mapping[Split, TrainingSet],
    weights: Mapping[str, Tensor],
    trained: Trained | None,
) -> RunRecord:
    spec, own_split = run.spec, data[run.spec.split]
    model = frozen(spec.net, own_split.shape, own_split.classes, weights, spec.device)
    accuracies = {
        split: trained.accuracy
        if trained and split == spec.split
        else accuracy(model, rows, spec.device)
        for split, rows in data.items()
    }
    return RunRecord(
        key=run.key,
        label=spec.label,
        kind=spec.kind,
        split=spec.split,
        net=spec.net,
        spec=spec,
        versions={split: versions[split] for split in spec.splits()},
        shape=own_split.shape,
        classes=own_split.classes,
        rows=trained.rows if trained else 0,
        epochs=trained.epochs if trained else 0,
        losses=trained.losses if trained else (),
        train_accuracy=accuracies["train"],
        test_accuracy=accuracies["test"],
        epsilon=trained.epsilon if trained else None,
        noise_multiplier=trained.noise_multiplier if trained else None,
        seconds=trained.seconds if trained else 0.0,
        host=platform.node(),
        device=spec.device,
        trained_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def accuracy(model: nn.Module, data: TrainingSet, device: str) -> float:
    """Return the share of rows whose largest logit is that of their label."""
    right = 0
    with torch.inference_mode():
        for first in range(0, len(data), _EVALUATION_ROWS):
            rows = slice(first, first + _EVALUATION_ROWS)
            inputs = as_input(torch.tensor(data.inputs[rows], device=device))
            labels = torch.tensor(data.labels[rows], device=device)
            right += int((model(inputs).argmax(1) == labels).sum())
    return right / max(len(data), 1)
