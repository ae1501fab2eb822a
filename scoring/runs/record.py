"""Runs in the store: `runs/<key>/` holds run.json, model.safetensors and epoch checkpoints.

`run.json` is written last: a run is finished exactly when the file exists.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from scoring.nets import Dims, Fitted, build, net_source
from scoring.representers.solve import SOLVER_VERSION
from scoring.run_spec import NetSpec, RunSpec
from scoring.store.file_kinds import run_of
from scoring.store.keys import Split, digest
from scoring.store.layout import epoch_path, model_path, run_path
from scoring.store.records import read_record, read_records, write_record
from scoring.store.sealed import read_part, write_sealed
from scoring.store.storage import Storage
from scoring.training.checkpoints import from_bytes, to_bytes
from scoring.training.loop import LOOP_VERSION


@dataclass(frozen=True, kw_only=True)
class Run:
    """A spec and the key that names its run in the store."""

    spec: RunSpec
    key: str
    parent: str = ""
    """Key of the run whose weights it starts from."""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """A finished run, as `run.json` holds it."""

    key: str
    label: str
    kind: str
    split: Split
    net: NetSpec
    spec: RunSpec
    versions: Mapping[str, str]
    """Dataset version of each split that shaped the weights."""
    shape: Dims
    """Shape of one example: (H, W, D) of an image, (L,) of a text."""
    classes: int
    rows: int
    epochs: int
    losses: tuple[float, ...]
    train_accuracy: float | None
    test_accuracy: float | None
    """Share of rows classified correctly; on its own split, the mean over the last epoch."""
    epsilon: float | None
    noise_multiplier: float | None
    seconds: float
    host: str
    device: str
    trained_at: str
    tallied: bool = False
    """Whether it kept a tally of examples; runs of earlier versions kept none."""

    @property
    def alpha_scale(self) -> float | None:
        """1 / (2 lambda N) of a representer run; None for other runs."""
        representer = self.spec.representer
        return 1 / (2 * representer.penalty * self.rows) if representer else None


def identify(spec: RunSpec, versions: Mapping[Split, str]) -> Run:
    """Name a run: hash its spec, the split versions it reads, and the version of what makes it."""

    def key(of: RunSpec) -> str:
        read = {split: versions[split] for split in of.splits()}
        made_by = SOLVER_VERSION if of.kind == "representer" else LOOP_VERSION
        return digest([of, read, made_by, net_source(of.net.name)])

    return Run(spec=spec, key=key(spec), parent=key(spec.parent) if spec.parent else "")


def finished(storage: Storage, keys: Iterable[str]) -> set[str]:
    """Return those of `keys` whose run is finished."""
    return {run_of(path) for path in storage.existing(run_path(key) for key in keys)}


def load_record(storage: Storage, key: str) -> RunRecord:
    """Read a finished run's record."""
    return read_record(storage, run_path(key), RunRecord)


def load_records(storage: Storage, keys: Iterable[str]) -> list[RunRecord]:
    """Read the records of several finished runs, in the order given."""
    return read_records(storage, [run_path(key) for key in keys], RunRecord)


def write_run(storage: Storage, record: RunRecord, weights: Mapping[str, Tensor]) -> None:
    """Write the weights, then the record, which finishes the run."""
    write_sealed(storage, model_path(record.key), to_bytes(weights))
    write_record(storage, run_path(record.key), record)


def load_model(storage: Storage, record: RunRecord, device: str, epoch: int = 0) -> Fitted:
    """Build a finished run's net, frozen, in eval mode, on `device`.

    Args:
        storage: the store.
        record: the run.
        device: "cpu" or "cuda".
        epoch: take the weights after this epoch, counted from 1; 0: the final weights.
    """
    if epoch:
        weights = from_bytes(
            read_part(storage, epoch_path(record.key, epoch), run_path(record.key))
        )
    else:
        weights = load_weights(storage, record.key)
    return frozen(record.net, record.shape, record.classes, weights, device)


def load_weights(storage: Storage, key: str) -> dict[str, Tensor]:
    """Read the final weights of a run's inner net."""
    return from_bytes(read_part(storage, model_path(key), run_path(key)))


def frozen(
    net: NetSpec,
    shape: Dims,
    classes: int,
    weights: Mapping[str, Tensor],
    device: str,
) -> Fitted:
    """Build a net with the given weights, frozen, in eval mode, on `device`."""
    model = build(net, shape=shape, classes=classes)
    model.net.load_state_dict(dict(weights))
    model.requires_grad_(False)
    model.eval()
    return model.to(device=device).to(memory_format=torch.channels_last)
