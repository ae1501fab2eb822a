"""Representer runs: a run's net with one layer at rest, and how well that explains the layer.

Beside what every run has, `runs/<key>/` holds layer.safetensors, the layer's weights in float64,
and layer.json, the proof.
"""

import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import torch

from scoring.errors import UserError
from scoring.representers.decomposition import Proof, StationaryLayer, proof, recomposed
from scoring.representers.layer import Layer
from scoring.representers.layer_rows import Activated, LayerRows, OneHot
from scoring.representers.losses import RELU, SOFTMAX, SuitableLoss
from scoring.representers.matrix import Matrix, block_rows, blocks
from scoring.representers.solve import Objective, stationary
from scoring.run_spec import Representer
from scoring.runs.record import Run, RunRecord, load_model, load_record, write_run
from scoring.store.keys import Split
from scoring.store.layout import evidence_path, layer_path
from scoring.store.records import read_record, to_json
from scoring.store.storage import Storage
from scoring.training.checkpoints import exact_bytes, from_bytes, snapshot

_TOLERANCE = 1e-9  # of the gradient: errors of logits stay far below a thousandth


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What was solved, and how exactly."""

    layer: str
    """Its full name in the net."""
    is_last: bool
    """It gives the logits; a ReLU is behind any other."""
    gradient_norm: float
    """Largest absolute derivative of what it minimises."""
    train: Proof
    test: Proof


def loss_of(evidence_or_layer: "Evidence | Layer") -> SuitableLoss:
    """The loss that suits what is behind the layer."""
    return SOFTMAX if evidence_or_layer.is_last else RELU


def targets_of(about: Representer, loss: SuitableLoss, rows: LayerRows) -> Matrix:
    """What the layer should give: [N, C]."""
    if about.targets == "labels":
        return OneHot(rows.labels, rows.outputs.shape[1])
    return Activated(rows.outputs, loss)


def solve_layer(
    about: Representer, layer: Layer, rows: Mapping[Split, LayerRows], threads: int
) -> tuple[StationaryLayer, Evidence]:
    """Bring a layer to rest on the training rows.

    Args:
        about: its penalty and its targets.
        layer: as it was trained.
        rows: of both splits, labelled.
        threads: to work with; the result does not depend on them.

    Raises:
        UserError: labels as targets of a layer that does not give logits.
    """
    if about.targets == "labels" and not layer.is_last:
        raise UserError(
            f"--targets: expected teacher for --layer {layer.name}, which gives no logits, "
            "got labels"
        )
    loss = loss_of(layer)
    targets = {split: targets_of(about, loss, of_split) for split, of_split in rows.items()}
    features = rows["train"].features
    objective = Objective(
        features=features,
        targets=targets["train"],
        loss=loss,
        penalty=about.penalty,
        threads=threads,
    )
    point = stationary(objective, layer.weights, _TOLERANCE)
    rest = StationaryLayer(
        weights=point.weights, loss=loss, penalty=about.penalty, rows=features.shape[0]
    )
    parts = recomposed(rest, features, targets["train"])
    proofs = {s: proof(rest, parts, rows[s].features, targets[s]) for s in rows}
    return rest, Evidence(
        layer=layer.name,
        is_last=layer.is_last,
        gradient_norm=point.gradient_norm,
        train=proofs["train"],
        test=proofs["test"],
    )


def make_run(
    storage: Storage,
    run: Run,
    versions: Mapping[Split, str],
    rows: Mapping[Split, LayerRows],
    threads: int,
) -> RunRecord:
    """Make a representer run from what its parent's layer sees, and write it.

    Args:
        storage: the store, which holds the parent.
        run: what to make.
        versions: dataset version of each split.
        rows: of both splits, labelled.
        threads: to work with.

    Raises:
        UserError: the layer cannot be explained so.
    """
    about, began = run.spec.representer, time.perf_counter()
    assert about is not None
    parent = load_record(storage, run.parent)
    model = load_model(storage, parent, "cpu")
    layer = Layer(model, about.layer)
    rest, evidence = solve_layer(about, layer, rows, threads)
    layer.put(rest.weights)
    right = {s: _accuracy(rest, r) if layer.is_last else None for s, r in rows.items()}
    record = replace(
        parent,
        key=run.key,
        label=run.spec.label,
        kind=run.spec.kind,
        spec=run.spec,
        versions={split: versions[split] for split in run.spec.splits()},
        rows=rest.rows,
        epochs=0,
        losses=(),
        train_accuracy=right["train"],
        test_accuracy=right["test"],
        epsilon=None,
        noise_multiplier=None,
        seconds=time.perf_counter() - began,
        host=platform.node(),
        device="cpu",
        trained_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    storage.write(layer_path(run.key), exact_bytes({"weights": rest.weights}))
    storage.write(evidence_path(run.key), to_json(evidence))
    write_run(storage, record, snapshot(model.net))
    return record


def load_layer(storage: Storage, record: RunRecord) -> tuple[StationaryLayer, Evidence]:
    """The layer of a finished representer run, and the proof."""
    representer = record.spec.representer
    assert representer is not None
    evidence = read_record(storage, evidence_path(record.key), Evidence)
    rest = StationaryLayer(
        weights=from_bytes(storage.read(layer_path(record.key)))["weights"],
        loss=loss_of(evidence),
        penalty=representer.penalty,
        rows=record.rows,
    )
    return rest, evidence


def _accuracy(rest: StationaryLayer, rows: LayerRows) -> float:
    """Share of rows whose largest output is their label's."""
    right = 0
    for block in blocks(len(rows.labels), block_rows(rows.features.shape[1])):
        given = rest.outputs(torch.from_numpy(rows.features[block])).argmax(dim=1)
        right += int((given == torch.from_numpy(rows.labels[block])).sum())
    return right / max(len(rows.labels), 1)
