"""A small store to report on, with real shards, real partitions and plausible scores."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from PIL import Image

from scoring.data.images import ImageShape
from scoring.data.shapes import InputShape
from scoring.data.sources import Layout, Rows, cut
from scoring.data.texts import TextShape
from scoring.data.versions import DatasetVersion
from scoring.data.write_shard import write_shard
from scoring.report import MetricInfo
from scoring.score.ranking import rank
from scoring.store.keys import SPLITS
from scoring.store.storage import Storage
from scoring.tables.manifest import Manifest, Partition
from scoring.tables.nights import append_night
from scoring.tables.publish import publish
from scoring.tables.score_rows import score_rows

STARTED = datetime(2026, 11, 20, 2, 30, tzinfo=UTC)
COMMAND = "protoscore rescore --dataset shapes --fleet demo"
METRICS = (
    MetricInfo(
        name="adv_l2",
        summary="L2 norm of the smallest perturbation that changes the predicted class",
        unit="L2 norm of pixels in [0, 1]",
        prototypical="high",
        ranked_by="value",
        purpose="robustness",
        source="Carlini et al. 2019, section 2.1",
    ),
    MetricInfo(
        name="agr",
        summary="mean Jensen-Shannon divergence between independently trained models",
        unit="nats",
        prototypical="low",
        ranked_by="value",
        purpose="atypical",
        source="Carlini et al. 2019, section 2.1",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Examples:
    """One split: N images with labels, predictions and values of every metric."""

    images: np.ndarray
    """[N, H, W, D] uint8."""
    label: np.ndarray
    predicted: np.ndarray
    values: Mapping[str, np.ndarray]
    """[N] float64 by metric."""
    names: Sequence[str | None] | None = None
    texts: Sequence[str] | None = None
    """If given, the examples are texts and `images` is ignored."""
    broken: frozenset[int] = frozenset()
    """Rows whose image cannot be decoded."""


def shapes(rows: int, classes: int, *, side: int = 8, channels: int = 1, seed: int = 0) -> Examples:
    """Make random images; the most outlying third is misclassified."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (rows, side, side, channels), dtype=np.uint8)
    label = np.arange(rows) % classes
    typical = random.permutation(rows) / rows
    predicted = np.where(typical < 1 / 3, (label + 1) % classes, label)
    values = {"adv_l2": 3 * typical, "agr": 0.6 - 0.5 * typical + 0.02 * random.random(rows)}
    return Examples(images=images, label=label, predicted=predicted, values=values)


def shade(example: int) -> int:
    """The grey level of an image of `shaded`, by its row."""
    return 7 * example % 251


def shaded(rows: int, classes: int, seed: int = 0) -> Examples:
    """Make images of 28 x 28 pixels that are each of one grey level."""
    made = shapes(rows, classes, side=28, seed=seed)
    shades = np.array([shade(i) for i in range(rows)], np.uint8)[:, None, None, None]
    return replace(made, images=np.broadcast_to(shades, made.images.shape).copy())


def write_dataset(
    storage: Storage,
    name: str,
    examples: Mapping[str, Examples],
    classes: Sequence[str],
    first_test_id: int | None = None,
) -> dict[str, DatasetVersion]:
    """Ingest both splits in shards of 25 rows, with train ids from 0 and test ids after them."""
    layout = Layout(classes=tuple(classes), shape=_shape(examples["train"]))
    versions, first = {}, 0
    for split in SPLITS:
        if split == "test" and first_test_id is not None:
            first = first_test_id
        split_examples = examples[split]
        records = []
        for piece in cut(f"{split}.bin", len(split_examples.images), 25, "unchanged"):
            rows = _rows(split_examples, slice(piece.start, piece.start + piece.rows))
            records.append(write_shard(storage, name, layout, piece, rows, first + piece.start))
        versions[split] = DatasetVersion(
            name=name, split=split, classes=layout.classes, shape=layout.shape,
            shards=tuple(records), ranges={},
        )  # fmt: skip
        versions[split].save(storage)
        first += len(split_examples.images)
    return versions


def publish_scores(
    storage: Storage,
    dataset: str,
    versions: Mapping[str, DatasetVersion],
    examples: Mapping[str, Examples],
    metrics: Sequence[MetricInfo] = METRICS,
    night: int = 1,
) -> None:
    """Publish every metric of both splits in one night, with its runs."""
    night_id = f"night-{night}"
    runs = [run_row(night_id, f"run{i}", seed=i) for i in range(3)]
    named = [run["run_key"] for run in runs]  # the manifests need not name all runs of a night
    runs += [run_row(night_id, f"dp{e}", kind="private", epsilon_target=e) for e in (0.5, 8.0)]
    parts = [
        (_manifest(dataset, version, m, night_id, named), _scores(examples[s], version, m))
        for s, version in versions.items()
        for m in metrics
        if m.name in examples[s].values
    ]
    publish(storage, parts)
    append_night(storage, night_row(night_id, dataset, versions), runs)


def night_row(night_id: str, dataset: str, versions: Mapping[str, DatasetVersion]) -> dict:
    """Return a row of `nights`."""
    return {
        "night_id": night_id, "date": STARTED.date(), "dataset": dataset,
        "started_at": STARTED, "finished_at": STARTED,
        "command": COMMAND, "train_version": versions["train"].version,
        "test_version": versions["test"].version, "metrics": [t.name for t in METRICS],
        "runs_trained": 5, "runs_reused": 0, "shards_scored": 12, "shards_reused": 0, "rows": 240,
        "commit_version": None, "seconds": 182.4,
    }  # fmt: skip


def run_row(night_id: str, key: str, **changes: object) -> dict:
    """Return a row of `runs`."""
    row = {
        "night_id": night_id, "run_key": key, "kind": "plain", "split": "train",
        "net": "small_cnn", "width": 1.0, "recipe": json.dumps({"epochs": 3}), "seed": 0,
        "subset": 0.5, "epsilon_target": None, "epsilon_spent": changes.get("epsilon_target"),
        "delta": None, "train_accuracy": 0.975, "test_accuracy": 0.9, "rows": 100, "epochs": 3,
        "seconds": 12.5, "host": "node-1", "device": "cpu", "trained_at": STARTED, "reused": False,
    }  # fmt: skip
    return {**row, **changes}


def _shape(examples: Examples) -> InputShape:
    if examples.texts:
        return TextShape(tokens=8)
    height, width, channels = examples.images.shape[1:]
    return ImageShape(height=height, width=width, channels=channels)


def _rows(examples: Examples, rows: slice) -> Rows:
    labels = [int(i) if i >= 0 else None for i in examples.label[rows]]
    numbers = range(*rows.indices(len(examples.label)))
    names = [examples.names[i] if examples.names else f"picture-{i}.png" for i in numbers]
    if examples.texts:
        texts = [text.encode() for text in examples.texts[rows]]
        return Rows(labels=labels, names=names, encoded=texts)
    if not examples.broken:
        return Rows(labels=labels, names=names, pixels=examples.images[rows])
    encoded = [b"no image" if i in examples.broken else _png(examples.images[i]) for i in numbers]
    return Rows(labels=labels, names=names, encoded=encoded)


def _png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(buffer, "PNG")
    return buffer.getvalue()


def _manifest(dataset, version, metric, night_id, named) -> Manifest:
    return Manifest(
        partition=Partition(dataset, version.split, metric.name),
        key=f"{metric.name}{version.split}{night_id}".replace("_", "").replace("-", ""),
        night_id=night_id,
        planned_at=STARTED.isoformat(),
        settings={},
        dataset_version=version.version,
        trained_on={},
        runs=tuple(named),
        rows=version.rows,
    )


def _scores(examples: Examples, version: DatasetVersion, metric: MetricInfo):
    ids = np.arange(version.rows) + version.shards[0].first_id
    value = examples.values[metric.name].astype(np.float64)
    status = np.full(len(ids), "", dtype="<U24")
    for row in examples.broken:
        value[row], status[row] = np.nan, "undecodable_image"
    ranks = rank(
        value=value, label=examples.label, example_id=ids, status=status,
        direction=metric.prototypical, ranked_by=metric.ranked_by or "value",
    )  # fmt: skip
    return score_rows(
        example_id=ids,
        name=pa.array(examples.names or [f"picture-{i}.png" for i in range(len(ids))]),
        label=examples.label,
        given_label=np.full(len(ids), -1),
        predicted=examples.predicted,
        value=value,
        spread=None,
        status=status,
        ranks=ranks,
        scored_at=pa.array([STARTED] * len(ids), pa.timestamp("us", "UTC")),
        dataset_version=version.version,
        score_key=pa.array(["shard"] * len(ids)),
    )
