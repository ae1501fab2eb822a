"""Runs made elsewhere: a manifest of the user's own checkpoints becomes runs like any other.

    {"runs": [{"weights": "resnet.pt", "net": "resnet18", "role": "base",
               "mean": [0.5], "std": [0.25], "classes": ["cat", "dog"]}]}

`weights` is a .safetensors file or .pt state dict, relative to the manifest. `role` is `base` (the
model that attacks probe) or `ensemble`. `mean` and `std` are the net's own normalisation of pixels
in [0, 1], `classes` its output order where that is not the dataset's.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from scoring.data.sources import Layout
from scoring.errors import BadData
from scoring.fleet import Fleet
from scoring.nets import build, check_net
from scoring.spec import NetSpec, RunSpec
from scoring.storage import Storage
from scoring.training.checkpoints import content_hash, load_user_weights, to_bytes

_KEYS = {"weights", "net", "role", "width", "mean", "std", "classes"}
_ROLES = ("base", "ensemble")


@dataclass(frozen=True, kw_only=True)
class Imported:
    """A checkpoint that stands in for runs of the fleet."""

    spec: RunSpec
    role: str
    weights: Mapping[str, Tensor]


def weights_path(spec: RunSpec) -> str:
    """Where imported weights lie in the store until their run is written."""
    return f"imports/{spec.weights}.safetensors"


def read_manifest(path: str, layout: Layout) -> tuple[Imported, ...]:
    """Read and check a manifest and its checkpoints.

    Raises:
        BadData: the manifest or a checkpoint cannot be used; the message names the file.
    """
    try:
        entries = json.loads(Path(path).read_text())["runs"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadData(
            f'--import-runs: expected a JSON file {{"runs": [...]}}, got {path!r} '
            f"({type(error).__name__})"
        ) from error
    return tuple(_imported(Path(path), entry, layout) for entry in entries)


def store_weights(storage: Storage, imported: Sequence[Imported]) -> None:
    """Put imported weights where a worker can make runs of them."""
    for run in imported:
        storage.write(weights_path(run.spec), to_bytes(run.weights))


def with_imports(fleet: Fleet, imported: Sequence[Imported]) -> Fleet:
    """Replace the base model and the ensemble by imported ones, where there are any."""
    base = [run.spec for run in imported if run.role == "base"]
    ensemble = tuple(run.spec for run in imported if run.role == "ensemble")
    return replace(fleet, base=base[0] if base else fleet.base, ensemble=ensemble or fleet.ensemble)


def _imported(manifest: Path, entry: Mapping[str, Any], layout: Layout) -> Imported:
    if not {"weights", "net"} <= set(entry) <= _KEYS:
        raise BadData(
            f"--import-runs {manifest}: expected weights, net and any of {', '.join(sorted(_KEYS))}"
            f", got {', '.join(sorted(entry))}"
        )
    role = entry.get("role", "base")
    if role not in _ROLES:
        raise BadData(f"--import-runs {manifest}: expected role base or ensemble, got {role!r}")
    check_net(entry["net"])
    net = NetSpec(
        name=entry["net"],
        width=entry.get("width", 1.0),
        mean=tuple(entry.get("mean", NetSpec.mean)),
        std=tuple(entry.get("std", NetSpec.std)),
        class_order=_class_order(manifest, entry.get("classes"), layout),
    )
    file = manifest.parent / entry["weights"]
    weights = load_user_weights(file, "--import-runs")
    model = build(net, shape=layout.shape.dims, classes=len(layout.classes))
    try:
        model.net.load_state_dict(weights)
    except RuntimeError as error:
        first = str(error).splitlines()[1:2]
        raise BadData(
            f"--import-runs: expected weights of {net.name} for {layout.shape.dims} images and "
            f"{len(layout.classes)} classes, got {str(file)!r}: {' '.join(first).strip()}"
        ) from error
    spec = RunSpec(kind="imported", split="train", net=net, weights=content_hash(weights))
    return Imported(spec=spec, role=role, weights=weights)


def _class_order(manifest: Path, classes: Sequence[str] | None, layout: Layout) -> tuple[int, ...]:
    if classes is None or tuple(classes) == layout.classes:
        return ()
    if sorted(classes) != sorted(layout.classes):
        raise BadData(
            f"--import-runs {manifest}: expected the dataset's classes "
            f"{', '.join(layout.classes)} in any order, got {', '.join(classes)}"
        )
    return tuple(list(classes).index(name) for name in layout.classes)
