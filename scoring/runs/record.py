"""Runs as artefacts: `runs/<key>/` holds run.json, model.safetensors and epoch checkpoints.

`run.json` is written last: a run exists, whole, exactly when it does.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from scoring.nets import Dims, Fitted, build, net_source
from scoring.representers.solve import SOLVER_VERSION
from scoring.run_spec import NetSpec, Privacy, Recipe, Representer, RunSpec
from scoring.store.keys import Split, digest, jsonable
from scoring.store.layout import epoch_path, model_path, run_of, run_path
from scoring.store.storage import Storage
from scoring.training.checkpoints import from_bytes, to_bytes
from scoring.training.loop import LOOP_VERSION

Part = TypeVar("Part")


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
    spec: Mapping[str, Any]
    versions: Mapping[str, str]
    """Dataset versions its rows came from."""
    shape: Dims
    """Of one example: (H, W, D) of an image, (L,) of a text."""
    classes: int
    rows: int
    epochs: int
    losses: tuple[float, ...]
    train_accuracy: float | None
    test_accuracy: float | None
    """Share right on each split; on its own split the running mean over the last epoch."""
    epsilon: float | None
    noise_multiplier: float | None
    seconds: float
    host: str
    device: str
    trained_at: str

    @property
    def alpha_scale(self) -> float | None:
        """1 / (2 lambda N) of a representer run, else None."""
        about = self.spec.get("representer")
        return 1 / (2 * about["penalty"] * self.rows) if about else None


def identify(spec: RunSpec, versions: Mapping[Split, str]) -> Run:
    """Name a run: the hash of its spec, the split versions it reads and what made it."""

    def key(of: RunSpec) -> str:
        read = {split: versions[split] for split in of.splits()}
        made_by = SOLVER_VERSION if of.kind == "representer" else LOOP_VERSION
        return digest([of, read, made_by, net_source(of.net.name)])

    return Run(spec=spec, key=key(spec), parent=key(spec.parent) if spec.parent else "")


def finished(storage: Storage, keys: Iterable[str]) -> set[str]:
    """Those of `keys` whose run is finished."""
    there = storage.existing(run_path(key) for key in keys)
    return {run_of(path) for path in there}


def load_record(storage: Storage, key: str) -> RunRecord:
    """Read a finished run's record."""
    return parse_record(storage.read(run_path(key)))


def load_records(storage: Storage, keys: Iterable[str]) -> list[RunRecord]:
    """Read the records of several finished runs, in the order asked."""
    return [parse_record(data) for data in storage.read_all(run_path(key) for key in keys)]


def parse_record(data: bytes) -> RunRecord:
    """Read a record from the bytes of `run.json`."""
    raw = json.loads(data)
    return RunRecord(**{**raw, "losses": tuple(raw["losses"]), "shape": tuple(raw["shape"])})


def write_run(storage: Storage, record: RunRecord, weights: Mapping[str, Tensor]) -> None:
    """Write weights, then the record that makes them a run."""
    storage.write(model_path(record.key), to_bytes(weights))
    text = json.dumps(jsonable(asdict(record)), indent=1)
    storage.write(run_path(record.key), text.encode())


def load_model(storage: Storage, record: RunRecord, device: str, epoch: int = 0) -> Fitted:
    """Build a finished run's net, frozen, in eval mode, on `device`.

    Args:
        storage: the store.
        record: the run.
        device: where to.
        epoch: its weights after that many epochs, 1 or more; 0: the finished ones.
    """
    net = _parse(NetSpec, record.net)
    if epoch:
        weights = from_bytes(storage.read(epoch_path(record.key, epoch)))
    else:
        weights = load_weights(storage, record.key)
    return frozen(net, record.shape, record.classes, weights, device)


def parse_spec(raw: Mapping[str, Any]) -> RunSpec:
    """Read a run's spec from what `run.json` says of it."""
    nested: dict[str, type[Any]] = {
        "net": NetSpec,
        "recipe": Recipe,
        "privacy": Privacy,
        "representer": Representer,
    }
    parts = {name: _parse(kind, raw[name]) for name, kind in nested.items() if raw.get(name)}
    parent = parse_spec(raw["parent"]) if raw.get("parent") else None
    return RunSpec(**{**raw, **parts, "parent": parent})


def _parse(kind: type[Part], raw: Mapping[str, Any]) -> Part:
    tuples = {name: tuple(value) for name, value in raw.items() if isinstance(value, list)}
    return kind(**{**raw, **tuples})


def load_weights(storage: Storage, key: str) -> dict[str, Tensor]:
    """A finished run's weights, as they lie in its inner net."""
    return from_bytes(storage.read(model_path(key)))


def frozen(
    net: NetSpec,
    shape: Dims,
    classes: int,
    weights: Mapping[str, Tensor],
    device: str,
) -> Fitted:
    """A net with its weights, in eval mode, on `device`."""
    model = build(net, shape=shape, classes=classes)
    model.net.load_state_dict(dict(weights))
    model.requires_grad_(False)
    model.eval()
    return model.to(device=device).to(memory_format=torch.channels_last)
