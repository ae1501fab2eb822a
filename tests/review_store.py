"""A store whose labels were judged, and reviewers who know which of them are wrong."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from report_store import Examples, publish_scores, shapes, write_dataset

from scoring.data.reviews import Check, Queue, load_queue, queue_ids
from scoring.store.mark import ensure_marked
from scoring.store.storage import Storage
from scoring.tables.schemas import PROBABILITIES
from scoring.tables.whole_partitions import PROBABILITIES_TABLE, replace_partition

CLASSES = ("bag", "coat", "shoe")
ROWS = 600
Decide = Callable[[Check], tuple[str, int | None]]
"""What a reviewer decides about a check: the decision, and a class to relabel to."""
AT = "2026-11-20T09:31:02.123Z"


def publish_judged(
    uri: str, classes: Sequence[str] = CLASSES, examples: Examples | None = None
) -> None:
    """Publish a dataset of which a tenth of the training labels is probably wrong."""
    storage = Storage(uri)
    ensure_marked(storage)
    train = examples or shapes(ROWS, len(classes), seed=1)
    _, side, _, channels = train.images.shape
    test = shapes(60, len(classes), side=side, channels=channels, seed=2)
    splits = {"train": train, "test": test}
    if train.texts:
        splits["test"] = replace(test, texts=[f"text {i}" for i in range(60)])
    versions = write_dataset(storage, "shapes", splits, classes)
    publish_scores(storage, "shapes", versions, splits)
    judge(storage, versions["train"], train.label, len(classes))


def wrong_probabilities(rows: int) -> np.ndarray:
    """Probabilities [N] that a label is wrong."""
    random = np.random.default_rng(5)
    bad = random.random(rows) < 0.1
    return np.where(bad, random.beta(8, 2, rows), random.beta(0.3, 12, rows))


def judge(
    storage: Storage, version: Any, label: np.ndarray, classes: int, dataset: str = "shapes"
) -> None:
    """Publish probabilities of a split; where a label is hardly wrong it is suggested itself."""
    count = len(label)
    wrong = wrong_probabilities(count)
    other = np.where(wrong < 0.2, label, (label + 1) % classes)
    columns = {
        "example_id": np.arange(count) + version.shards[0].first_id,
        "label": label,
        "models": np.full(count, 7),
        "wrong": wrong,
        "suggested": other,
        "status": pa.nulls(count, pa.string()),
        "classes": [[0, 1]] * count,
        "probabilities": [[0.5, 0.5]] * count,
        "dataset_version": [version.version] * count,
    }
    rows = pa.table({n: pa.array(c) for n, c in columns.items()}).cast(PROBABILITIES)
    partition = {"dataset": dataset, "split": version.split}
    replace_partition(storage, PROBABILITIES_TABLE, partition, rows.to_batches())


def only_queue(uri: str) -> Queue:
    """Return the queue of a store that has one."""
    (queue,) = queue_ids(Storage(uri))
    return load_queue(Storage(uri), queue)


def by_probability(check: Check) -> tuple[str, int | None]:
    """Relabel as suggested what is probably wrong, and keep the rest."""
    return ("relabel", check.suggested) if check.wrong >= 0.5 else ("keep", None)


def knowing(true: Sequence[int]) -> Decide:
    """Decide like someone who knows the class of every example."""

    def decide(check: Check) -> tuple[str, int | None]:
        label = int(true[check.example_id])
        return ("keep", None) if label == check.label else ("relabel", label)

    return decide


def decisions(
    queue: Queue, decide: Decide = by_probability, reviewer: str = "ann", at: str = AT
) -> dict[str, Any]:
    """Return what the page writes when a reviewer has decided on all checks."""
    made = [(check.example_id, *decide(check)) for check in queue.checks]
    return {
        "queue": queue.id,
        "reviewer": reviewer,
        "decisions": [
            {"example_id": i, "decision": decision, "label": label, "decided_at": at}
            for i, decision, label in made
        ],
    }


def write_file(folder: Path, content: Any, name: str = "") -> str:
    """Write a file of decisions and return its path."""
    path = folder / (name or f"review-{len([*folder.iterdir()])}.json")
    path.write_text(json.dumps(content))
    return str(path)
