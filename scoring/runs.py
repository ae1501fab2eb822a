"""Runs as artefacts: `runs/<key>/` holds run.json, model.safetensors and epoch checkpoints.

`run.json` is written last: a run exists, whole, exactly when it does.
"""

import json
import math
import platform
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import torch
from torch import Tensor, nn

from scoring.data.training_set import TrainingSet
from scoring.errors import OutOfTime
from scoring.keys import Split, digest, jsonable
from scoring.nets import Fitted, build, net_source
from scoring.spec import NetSpec, RunSpec
from scoring.storage import Storage
from scoring.training.checkpoints import exact_bytes, from_bytes, to_bytes
from scoring.training.loop import LOOP_VERSION, Trained, Training, train

_EVALUATION_ROWS = 1000
_KEEP_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Run:
    """A spec and the artefact it names."""

    spec: RunSpec
    key: str
    parent: str = ""
    """Key of the run whose weights it starts from."""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What `run.json` says of a finished run."""

    key: str
    label: str
    kind: str
    split: Split
    net: Mapping[str, object]
    spec: Mapping[str, object]
    versions: Mapping[str, str]
    """Dataset versions its rows came from."""
    shape: tuple[int, int, int]
    classes: int
    rows: int
    epochs: int
    losses: tuple[float, ...]
    train_accuracy: float
    test_accuracy: float
    """Share right on each split; on its own split the running mean over the last epoch."""
    epsilon: float | None
    noise_multiplier: float | None
    seconds: float
    host: str
    device: str
    trained_at: str


def identify(spec: RunSpec, versions: Mapping[Split, str]) -> Run:
    """Name a run: the hash of its spec, the split versions it reads and the training loop."""

    def key(of: RunSpec) -> str:
        read = {split: versions[split] for split in of.splits()}
        return digest([of, read, LOOP_VERSION, net_source(of.net.name)])

    return Run(spec=spec, key=key(spec), parent=key(spec.parent) if spec.parent else "")


def record_path(key: str) -> str:
    """The file whose existence says that the run is finished."""
    return f"runs/{key}/run.json"


def _epoch_path(key: str, epoch: int) -> str:
    """Weights after so many epochs, from 1."""
    return f"runs/{key}/checkpoints/epoch-{epoch:04d}.safetensors"


def _unfinished_path(key: str) -> str:
    """Where a run that is not finished keeps how far it got."""
    return f"runs/{key}/training.safetensors"


def finished(storage: Storage, keys: Iterable[str]) -> set[str]:
    """Those of `keys` whose run is finished."""
    there = storage.existing(record_path(key) for key in keys)
    return {path.split("/")[1] for path in there}


def load_record(storage: Storage, key: str) -> RunRecord:
    """Read a finished run's record."""
    return parse_record(storage.read(record_path(key)))


def load_records(storage: Storage, keys: Iterable[str]) -> list[RunRecord]:
    """Read the records of several finished runs, in the order asked."""
    return [parse_record(data) for data in storage.read_all(record_path(key) for key in keys)]


def parse_record(data: bytes) -> RunRecord:
    """Read a record from the bytes of `run.json`."""
    raw = json.loads(data)
    return RunRecord(**{**raw, "losses": tuple(raw["losses"]), "shape": tuple(raw["shape"])})


def train_run(
    storage: Storage,
    run: Run,
    versions: Mapping[Split, str],
    data: Mapping[Split, TrainingSet],
    *,
    until: float = math.inf,
) -> RunRecord:
    """Train one run from its spec, and write it; go on where an earlier process was cut short.

    Args:
        storage: the store; a fine-tuned run's parent is read from it.
        run: what to train.
        versions: dataset version of each split, as `identify` was given.
        data: both splits, decoded; the one it does not train on measures its accuracy.
        until: time (seconds since the epoch) after which no further training epoch is begun.

    Raises:
        OutOfTime: that time has come; how far training got is kept.
    """
    spec = run.spec
    if spec.kind == "imported":
        weights = from_bytes(storage.read(f"imports/{spec.weights}.safetensors"))
        trained = None
    else:
        trained = _train(storage, run, data[spec.split], until)
        weights = trained.weights
    record = _record(run, versions, data, weights, trained)
    write_run(storage, record, weights)
    storage.delete(_unfinished_path(run.key))
    return record


def _train(storage: Storage, run: Run, data: TrainingSet, until: float) -> Trained:
    """Train, keeping how far it got once a minute: a lost machine costs little more."""
    unfinished = _unfinished_path(run.key)
    kept_at = time.monotonic()

    def after_epoch(training: Training) -> None:
        nonlocal kept_at
        if run.spec.keep_epochs:
            path = _epoch_path(run.key, len(training.losses))
            storage.write(path, to_bytes(training.weights))
        out_of_time = time.time() >= until
        if out_of_time or time.monotonic() - kept_at > _KEEP_S:
            storage.write(unfinished, exact_bytes(training.save()))
            kept_at = time.monotonic()
        if out_of_time:
            raise OutOfTime(f"{run.spec.label}: stopped after epoch {len(training.losses)}")

    return train(
        run.spec,
        data,
        start=_weights(storage, run.parent) if run.parent else None,
        on_epoch=after_epoch,
        resume=from_bytes(storage.read(unfinished)) if storage.exists(unfinished) else None,
    )


def write_run(storage: Storage, record: RunRecord, weights: Mapping[str, Tensor]) -> None:
    """Write weights, then the record that makes them a run."""
    storage.write(f"runs/{record.key}/model.safetensors", to_bytes(weights))
    text = json.dumps(jsonable(asdict(record)), indent=1)
    storage.write(record_path(record.key), text.encode())


def load_model(storage: Storage, record: RunRecord, device: str, epoch: int = 0) -> Fitted:
    """Build a finished run's net, frozen, in eval mode, on `device`.

    Args:
        storage: the store.
        record: the run.
        device: where to.
        epoch: its weights after that many epochs, 1 or more; 0: the finished ones.
    """
    fields: dict[str, Any] = dict(record.net)
    tuples = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
    net = NetSpec(**{**fields, **tuples})
    if epoch:
        weights = from_bytes(storage.read(_epoch_path(record.key, epoch)))
    else:
        weights = _weights(storage, record.key)
    return _frozen(net, record.shape, record.classes, weights, device)


def _weights(storage: Storage, key: str) -> dict[str, Tensor]:
    return from_bytes(storage.read(f"runs/{key}/model.safetensors"))


def _frozen(
    net: NetSpec,
    shape: tuple[int, int, int],
    classes: int,
    weights: Mapping[str, Tensor],
    device: str,
) -> Fitted:
    model = build(net, shape=shape, classes=classes)
    model.net.load_state_dict(dict(weights))
    model.requires_grad_(False)
    model.eval()
    model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def accuracy(model: nn.Module, data: TrainingSet, device: str) -> float:
    """Share of rows whose largest logit is their label's."""
    right = 0
    with torch.inference_mode():
        for first in range(0, len(data), _EVALUATION_ROWS):
            rows = slice(first, first + _EVALUATION_ROWS)
            images = to_pixels(torch.tensor(data.images[rows]), device)
            labels = torch.tensor(data.labels[rows], device=device)
            right += int((model(images).argmax(1) == labels).sum())
    return right / max(len(data), 1)


def to_pixels(images: Tensor, device: str) -> Tensor:
    """[N, H, W, D] uint8 to [N, D, H, W] float32 in [0, 1], channels last in memory."""
    return images.to(device).permute(0, 3, 1, 2).float().div_(255)


def _record(
    run: Run,
    versions: Mapping[Split, str],
    data: Mapping[Split, TrainingSet],
    weights: Mapping[str, Tensor],
    trained: Trained | None,
) -> RunRecord:
    spec, seen = run.spec, data[run.spec.split]
    model = _frozen(spec.net, seen.shape, seen.classes, weights, spec.device)
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
        net=jsonable(spec.net),
        spec=jsonable(spec),
        versions={split: versions[split] for split in spec.splits()},
        shape=seen.shape,
        classes=seen.classes,
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
