"""Peak memory of a driver that ranks and publishes many rows."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

MB = 1 << 20
FEW, MANY = 20_000, 800_000

SCRIPT = """
import json, sys
from datetime import UTC, datetime

import numpy as np

from ray_jobs.night.partition_rows import partition_rows, read_examples
from ray_jobs.night.work import ShardWork
from scoring.store.layout import staged_path
from scoring.data.images import ImageShape
from scoring.data.write_shard import write_shard
from scoring.data.sources import Layout, Piece, Rows
from scoring.registry import metric
from scoring.score.assignments import Assignment, Task
from scoring.store.storage import Storage
from scoring.tables.manifest import Manifest, Partition
from scoring.tables.publish import publish
from scoring.staged.scores import write_scores

SHARD = 5000
shape = ImageShape(height=1, width=1, channels=1)
layout = Layout(classes=tuple("0123456789"), shape=shape)
noise = np.random.default_rng(0)


def stage(storage, rows):
    work = []
    for first in range(0, rows, SHARD):
        ids = np.arange(first, first + SHARD)
        labels, key = noise.integers(0, 10, SHARD), f"k{first}"
        data = Rows(
            labels=labels.tolist(),
            names=[f"a/folder/with/a/long/name/picture-{i}.png" for i in ids],
            pixels=np.zeros((SHARD, *shape.dims), np.uint8),
        )
        piece = Piece(file="x", start=first, rows=SHARD, fingerprint="")
        record = write_shard(storage, "noise", layout, piece, data, first)
        columns = {"spread": None, "tiebreak": None, "status": np.full(SHARD, "")}
        for name, value in (("conf", noise.normal(size=SHARD)), ("predicted", labels * 1.0)):
            write_scores(storage, staged_path(name, key), ids=ids, value=value, **columns)
        tasks = tuple(
            Task(assignment=Assignment(metric=name, config=None, split="train", runs=()), key=key)
            for name in ("conf", "predicted")
        )
        work.append(ShardWork(split="test", record=record, tasks=tasks, missing=()))
    return work


def run(folder, rows):
    storage = Storage(folder)
    work = stage(storage, rows)
    open("/proc/self/clear_refs", "w").write("5")
    before = peak()
    examples = read_examples(storage, "noise", work)
    manifest = Manifest(
        partition=Partition("noise", "test", "conf"), key="k", night_id="n",
        planned_at=datetime.now(UTC).isoformat(), settings={}, dataset_version="v",
        trained_on={}, runs=(), rows=rows,
    )
    rows = partition_rows(storage, metric("conf"), examples, "v")
    assert publish(storage, [(manifest, rows)]).version == 1
    return peak() - before


def peak():
    return int(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1]) << 10


few, many, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
print(json.dumps([run(folder + "/warm", few), run(folder + "/store", many)]))
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
def test_a_driver_holds_columns_of_numbers_alone(tmp_path: Path) -> None:
    """Names of 45 bytes: whole rows would cost some 400 bytes an example."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(FEW), str(MANY), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    few, many = json.loads(done.stdout)
    # 20 columns of 8 bytes, those that sorting borrows included; then files being read by several
    # threads and a row group on its way, 80 MB for few rows and many.
    assert many < MANY * 160 + 100 * MB, f"{many / MB:.0f} MB ({few / MB:.0f} for {FEW})"
