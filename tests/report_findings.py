"""Publishes example sets and explanations to a store, for the tests of the report."""

import json
from datetime import UTC, datetime

import numpy as np

from scoring.data.versions import DatasetVersion
from scoring.store.storage import Storage
from scoring.tables.explanations import (
    RepresenterModel,
    publish_explanations,
    publish_model,
    write_explanations,
)
from scoring.tables.schemas import REPRESENTERS
from scoring.tables.set_members import publish_example_sets

COMMAND = "protoscore evaluate sets --dataset shapes"
NO = float("nan")


def publish_sets(storage: Storage, split: str, rows: list[tuple]) -> None:
    """Publish rows of (example id, label, set, cluster, x, y) for the dataset `shapes`."""
    ids, label, sets, cluster, x, y = map(list, zip(*rows, strict=True))
    columns = {
        "example_id": np.array(ids),
        "name": [None] * len(ids),
        "label": np.array(label),
        "set": sets,
        **{name: np.full(len(ids), 80.0) for name in ("boundary", "ensemble", "priv")},
        **{name: np.array(v, np.float64) for name, v in (("cluster", cluster), ("x", x), ("y", y))},
    }
    publish_example_sets(storage, "shapes", split, columns, COMMAND)


def publish_explained(
    storage: Storage,
    run: str,
    train: DatasetVersion,
    points: list[tuple],
    *,
    is_last: bool = True,
    solved_at: int = 1,
) -> None:
    """Publish representer points of the test split.

    Args:
        storage: the store.
        run: the representer run.
        train: the dataset version of the training examples.
        points: tuples of (test id, output, rank, train id, train label, value).
        is_last: whether the outputs are classes.
        solved_at: day of the month on which the layer was solved.
    """
    names = [field.name for field in REPRESENTERS]
    rows = [
        (test, 0, 0, output, int(np.sign(value)), rank, train_id, label, value / 2, 2.0, value)
        for test, output, rank, train_id, label, value in points
    ]
    columns = zip(names, zip(*rows, strict=True), strict=True)
    path = f"explanations/{run}/shard.parquet"
    write_explanations(storage, path, {name: np.array(column) for name, column in columns})
    publish_explanations(storage, "shapes", "test", run, [path], whole=True)
    proof = dict.fromkeys(("gradient_norm", "residual_train", "residual_test"), 0.0)
    row = {
        "base_run": "base", "layer": "fc", "penalty": 0.1, "targets": "teacher", "rows": 90,
        **proof, "pearson_train": 1.0, "pearson_test": 1.0, "train_version": train.version,
        "test_version": "", "seconds": 1.0, "solved_at": datetime(2026, 11, solved_at, tzinfo=UTC),
    }  # fmt: skip
    publish_model(storage, "shapes", run, RepresenterModel(**row))
    storage.write(f"runs/{run}/layer.json", json.dumps({"is_last": is_last}).encode())
