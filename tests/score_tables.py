"""Small, properly ranked partitions of `scores` for tests."""

import json
import os
import signal
from collections.abc import Sequence
from datetime import UTC, date, datetime
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier

import numpy as np
import pyarrow as pa

from scoring.score.ranking import rank
from scoring.store.filesystems import delta_options
from scoring.store.storage import Storage
from scoring.tables import commit
from scoring.tables.manifest import Manifest, Partition
from scoring.tables.nights import append_night
from scoring.tables.publish import publish
from scoring.tables.schemas import SCORES
from scoring.tables.score_rows import score_rows

CLASSES = ("ankle boot", "bag", "coat")
VERSION = "v1"
Part = tuple[Manifest, list[pa.RecordBatch]]


def rows_of(
    n: int,
    *,
    seed: int = 0,
    night_id: str = "night-1",
    direction: str = "high",
    ends: dict | None = None,
) -> pa.Table:
    """N ranked rows; the last has no label, the one before it no value."""
    random = np.random.default_rng(seed)
    ids = random.permutation(10 * n)[:n]
    value = random.normal(size=n)
    label = np.arange(n) % len(CLASSES)
    status = np.full(n, "", dtype="<U20")
    if n > 3:
        label[-1] = -1
        value[-2], status[-2] = np.nan, "undecodable_image"
    batches = score_rows(
        example_id=ids,
        name=pa.array([f"image-{i}.png" for i in ids], pa.string()),
        label=label,
        given_label=np.full(n, -1),
        predicted=np.arange(n) % 2,
        value=value,
        spread=None,
        status=status,
        ranks=rank(
            value=value, label=label, status=status, example_id=ids, direction=direction, ends=ends
        ),
        scored_at=pa.array([datetime(2026, 3, 1, tzinfo=UTC)] * n, pa.timestamp("us", "UTC")),
        dataset_version=VERSION,
        score_key=pa.array([night_id] * n, pa.string()),
    )
    return pa.Table.from_batches(batches, SCORES)


def part(
    metric: str = "conf",
    *,
    n: int = 30,
    key: str = "k1",
    night: int = 1,
    dataset: str = "digits",
    split: str = "test",
    seed: int = 0,
) -> Part:
    """A partition planned in the first hour of a night, which its column `score_key` names."""
    night_id = f"night-{night}"
    manifest = Manifest(
        partition=Partition(dataset, split, metric),
        key=key,
        night_id=night_id,
        planned_at=datetime(2026, 3, night, 1, tzinfo=UTC).isoformat(),
        settings={"config": {"metric": metric}, "limit": None},
        dataset_version=VERSION,
        trained_on={"train": "v0"},
        runs=("run1", "run2"),
        rows=n,
    )
    return manifest, rows_of(n, seed=seed, night_id=night_id).to_batches()


def night_row(
    night_id: str, commit_version: int | None = 1, day: date = date(2026, 3, 1)
) -> dict[str, object]:
    """A row of `nights`."""
    return {
        "night_id": night_id,
        "date": day,
        "dataset": "digits",
        "started_at": datetime(2026, 3, 1, 1, tzinfo=UTC),
        "finished_at": datetime(2026, 3, 1, 2, tzinfo=UTC),
        "command": "protoscore rescore --dataset digits",
        "train_version": "v0",
        "test_version": VERSION,
        "metrics": ["conf", "agr"],
        "runs_trained": 2,
        "runs_reused": 0,
        "shards_scored": 2,
        "shards_reused": 0,
        "rows": 60,
        "commit_version": commit_version,
        "corrected": 0,
        "excluded": 0,
        "test_accuracy": 0.9,
        "seconds": 3600.0,
    }


def run_row(night_id: str, run_key: str = "run1") -> dict[str, object]:
    """A row of `runs`."""
    return {
        "night_id": night_id,
        "run_key": run_key,
        "kind": "plain",
        "split": "train",
        "net": "mlp",
        "width": 1.0,
        "recipe": json.dumps({"epochs": 3}),
        "seed": 0,
        "subset": 0.5,
        "epsilon_target": None,
        "epsilon_spent": None,
        "delta": None,
        "train_accuracy": 0.9,
        "test_accuracy": 0.8,
        "rows": 100,
        "epochs": 3,
        "seconds": 1.5,
        "host": "node-1",
        "device": "cpu",
        "trained_at": datetime(2026, 3, 1, 1, 30, tzinfo=UTC),
        "reused": False,
    }


def write_classes(storage: Storage, part: Manifest, classes: tuple[str, ...] = CLASSES) -> None:
    """Write what the tables read from a dataset version: its class names."""
    dataset, split, _ = part.partition
    path = f"datasets/{dataset}/{split}/{part.dataset_version}.json"
    storage.write(path, json.dumps({"classes": classes}).encode())


# Run by other processes; in this module because it is quick to import.


def publish_and_die(uri: str, parts: Sequence[Part]) -> None:
    """Publish, but get killed after writing everything but the commit."""
    commit._commit_once = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    publish(Storage(uri), parts)


def publish_at(uri: str, barrier: Barrier, parts: Sequence[Part], answers: Queue) -> None:
    """Publish at the same time as others; answer with metric names by fate, and the version."""
    barrier.wait()
    outcome = publish(Storage(uri), parts)
    fates = (outcome.committed, outcome.already, outcome.yielded)
    answers.put((*([m.partition.metric for m in fate] for fate in fates), outcome.version))


def append_at(uri: str, barrier: Barrier) -> None:
    """Record night n1 at the same time as others."""
    barrier.wait()
    append_night(Storage(uri), night_row("n1"), [run_row("n1")])


def reader_options(uri: str) -> dict[str, str]:
    """Return what other tools need to read a store: credentials and endpoint."""
    return {name: value for name, value in delta_options(uri).items() if name.startswith("AWS_")}
