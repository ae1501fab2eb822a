"""Representer runs: the net of another run with one layer at rest, and evidence that it is.

In addition to the files of every run, `runs/<key>/` holds layer.safetensors, the layer's weights in
float64, and layer.json, the evidence.
"""

import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import torch

from scoring.errors import UserError
from scoring.representers.decomposition import (
    Exactness,
    LayerAtRest,
    measure_exactness,
    recompose,
)
from scoring.representers.layer import Layer
from scoring.representers.layer_rows import Activated, LayerRows, OneHot
from scoring.representers.losses import RELU, SOFTMAX, SuitableLoss
from scoring.representers.matrix import Matrix, block_rows, blocks
from scoring.representers.solve import Objective, minimise
from scoring.run_spec import Representer
from scoring.runs.record import Run, RunRecord, load_model, load_record, write_run
from scoring.store.keys import Split
from scoring.store.layout import evidence_path, layer_path, run_path
from scoring.store.records import from_json, write_record
from scoring.store.sealed import read_part, write_sealed
from scoring.store.storage import Storage
from scoring.training.checkpoints import exact_bytes, from_bytes, snapshot

_TOLERANCE = 1e-9  # of the gradient; keeps errors of logits far below a thousandth


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The layer that was solved for, and how exactly."""

    layer: str
    """Its full name in the net."""
    is_last: bool
    """Whether its outputs are the logits; any other layer is followed by a ReLU."""
    gradient_norm: float
    """Largest absolute derivative of the objective."""
    train: Exactness
    test: Exactness


def loss_of(evidence_or_layer: "Evidence | Layer") -> SuitableLoss:
    """Return the loss that suits what follows the layer: a softmax or a ReLU."""
    return SOFTMAX if evidence_or_layer.is_last else RELU


def targets_of(representer: Representer, loss: SuitableLoss, rows: LayerRows) -> Matrix:
    """Return the layer's targets, [N, C]."""
    if representer.targets == "labels":
        return OneHot(rows.labels, rows.outputs.shape[1])
    return Activated(rows.outputs, loss)


def solve_layer(
    representer: Representer, layer: Layer, rows: Mapping[Split, LayerRows], threads: int
) -> tuple[LayerAtRest, Evidence]:
    """Bring a layer to rest on the training rows.

    Args:
        representer: the penalty and the kind of targets.
        layer: the trained layer.
        rows: the labelled rows of both splits.
        threads: threads to use; see `solve` for what depends on them.

    Raises:
        UserError: labels as targets of a layer whose outputs are not logits.
    """
    if representer.targets == "labels" and not layer.is_last:
        raise UserError(
            f"--targets: expected teacher for --layer {layer.name}, whose outputs are no logits, "
            "got labels"
        )
    loss = loss_of(layer)
    targets = {
        split: targets_of(representer, loss, split_rows) for split, split_rows in rows.items()
    }
    features = rows["train"].features
    objective = Objective(
        features=features,
        targets=targets["train"],
        loss=loss,
        penalty=representer.penalty,
        threads=threads,
    )
    point = minimise(objective, layer.weights, _TOLERANCE)
    rest = LayerAtRest(
        weights=point.weights, loss=loss, penalty=representer.penalty, rows=features.shape[0]
    )
    parts = recompose(rest, features, targets["train"])
    exactness = {s: measure_exactness(rest, parts, rows[s].features, targets[s]) for s in rows}
    return rest, Evidence(
        layer=layer.name,
        is_last=layer.is_last,
        gradient_norm=point.gradient_norm,
        train=exactness["train"],
        test=exactness["test"],
    )


def make_run(
    storage: Storage,
    run: Run,
    versions: Mapping[Split, str],
    rows: Mapping[Split, LayerRows],
    threads: int,
) -> RunRecord:
    """Make a representer run from the features of its parent's layer, and write it.

    Args:
        storage: the store, which holds the parent.
        run: the run to make.
        versions: dataset version of each split.
        rows: the labelled rows of both splits.
        threads: threads to use.

    Raises:
        UserError: labels as targets of a layer whose outputs are not logits.
    """
    representer, began = run.spec.layer_at_rest, time.perf_counter()
    parent = load_record(storage, run.parent)
    model = load_model(storage, parent, "cpu")
    layer = Layer(model, representer.layer)
    rest, evidence = solve_layer(representer, layer, rows, threads)
    layer.set_weights(rest.weights)
    accuracies = {s: _accuracy(rest, r) if layer.is_last else None for s, r in rows.items()}
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
        train_accuracy=accuracies["train"],
        test_accuracy=accuracies["test"],
        epsilon=None,
        noise_multiplier=None,
        seconds=time.perf_counter() - began,
        host=platform.node(),
        device="cpu",
        trained_at=datetime.now(UTC).isoformat(timespec="seconds"),
        tallied=False,
    )
    write_sealed(storage, layer_path(run.key), exact_bytes({"weights": rest.weights}))
    write_record(storage, evidence_path(run.key), evidence)
    write_run(storage, record, snapshot(model.net))
    return record


def load_layer(storage: Storage, record: RunRecord) -> tuple[LayerAtRest, Evidence]:
    """Read the layer of a finished representer run, and the evidence."""
    run, path = run_path(record.key), evidence_path(record.key)
    evidence = from_json(read_part(storage, path, run), Evidence, path)
    rest = LayerAtRest(
        weights=from_bytes(read_part(storage, layer_path(record.key), run))["weights"],
        loss=loss_of(evidence),
        penalty=record.spec.layer_at_rest.penalty,
        rows=record.rows,
    )
    return rest, evidence


def _accuracy(rest: LayerAtRest, rows: LayerRows) -> float:
    """Return the share of rows whose largest output is that of their label."""
    right = 0
    for block in blocks(len(rows.labels), block_rows(rows.features.shape[1])):
        predicted = rest.outputs(torch.from_numpy(rows.features[block])).argmax(dim=1)
        right += int((predicted == torch.from_numpy(rows.labels[block])).sum())
    return right / max(len(rows.labels), 1)
