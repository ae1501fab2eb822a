"""Measure how nights grow with examples and shards: seconds by stage, memory of the driver.

python -m benchmarks.scale      run everything, about 20 minutes, and write build/scale.json
"""

import io
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benchmarks import publishing
from benchmarks.jobs import result, timed

OUTPUT = Path("build/scale.json")
_IMAGES = 2000  # distinct images, repeated under other ids and labels
_TRAIN = 2000
_FLAGS = (
    *("--dataset", "parquet", "--name", "noise", "--metrics", "conf", "--ensemble", "seeds"),
    *("--net", "mlp", "--recipe", "smoke", "--cpus", "2", "--device", "cpu"),
)
_MB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Noise images of one kind, all in the test split."""

    rows: int
    side: int
    """Height and width in pixels."""
    encoding: str
    """png or jpeg."""
    shard_rows: int

    @property
    def shards(self) -> int:
        return -(-self.rows // self.shard_rows)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Costs of a night."""

    seconds: dict[str, float]
    """Time by stage; `night` is the total."""
    driver_mb: float
    """Peak resident memory of the driver."""
    object_store_mb: float
    """Shared memory touched by Ray's object store."""
    again_s: float
    """Time of the same command again, with nothing left to do."""


HARNESS = (
    Dataset(rows=1_000_000, side=28, encoding="png", shard_rows=10_000),
    Dataset(rows=200_000, side=64, encoding="jpeg", shard_rows=2_000),
    Dataset(rows=200_000, side=28, encoding="png", shard_rows=100),
    Dataset(rows=200_000, side=28, encoding="png", shard_rows=10_000),
)
"""Many examples, larger images, and the same examples in 2,000 shards and in 20."""


def driver_memory() -> list[dict[str, object]]:
    """Measure how a driver's peak memory grows from a night of 1e5 examples to one of 1e6."""
    few, many = (
        night(Dataset(rows=rows, side=28, encoding="png", shard_rows=10_000)).driver_mb
        for rows in (100_000, 1_000_000)
    )
    note = f"whole nights of 1e5 and 1e6 examples: peaks {few:.0f} and {many:.0f} MB"
    return [result("driver_rss_growth_mb", many - few, "MB", "< 150", note)]


def night(dataset: Dataset) -> Figures:
    """Rescore a dataset in a separate process and watch its memory."""
    with tempfile.TemporaryDirectory() as folder:
        write(dataset, Path(folder))
        summary = Path(folder, "summary.json")
        command = [
            sys.executable,
            "-m",
            "ray_jobs.rescore",
            *_FLAGS,
            "--store",
            f"{folder}/store",
        ]
        command += ["--train", f"{folder}/train.parquet", "--test", f"{folder}/test.parquet"]
        command += ["--shard-rows", str(dataset.shard_rows), "--summary", str(summary)]
        free = _shared_free()
        driver = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        peak, shared = 0.0, 0.0
        while driver.poll() is None:
            peak = max(peak, _peak_mb(driver.pid))
            shared = max(shared, (free - _shared_free()) / _MB)
            time.sleep(0.1)
        report = json.loads(summary.read_text())
        if driver.returncode:
            raise RuntimeError(f"expected a night that publishes, got {report['said']!r}")
        again = timed(subprocess.run, command, stdout=subprocess.DEVNULL, check=True)
    seconds = {stage["name"]: stage["seconds"] for stage in report["stages"]}
    seconds["night"] = report["night"]["seconds"]
    return Figures(seconds=seconds, driver_mb=peak, object_store_mb=shared, again_s=again)


def write(dataset: Dataset, folder: Path) -> None:
    """Write both splits as Parquet files of encoded images."""
    noise = np.random.default_rng(0)
    shape = (_IMAGES, dataset.side, dataset.side)
    files = pa.array(
        [_encoded(image, dataset) for image in noise.integers(0, 256, shape, np.uint8)]
    )
    for split, rows in (("train", _TRAIN), ("test", dataset.rows)):
        with pq.ParquetWriter(folder / f"{split}.parquet", _SCHEMA) as writer:
            for first in range(0, rows, dataset.shard_rows):
                ids = np.arange(first, min(first + dataset.shard_rows, rows))
                columns = {"image": files.take(ids % _IMAGES), "label": ids % 10}
                writer.write_table(pa.table(columns, _SCHEMA))


_SCHEMA = pa.schema({"image": pa.binary(), "label": pa.int64()})


def _encoded(image: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]", dataset: Dataset) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, dataset.encoding)
    return file.getvalue()


def _peak_mb(pid: int) -> float:
    """Return the peak resident memory of a process so far, or 0 if it has just ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return 0.0
    found = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    return int(found[0]) / 1024 if found else 0.0


def _shared_free() -> int:
    shared = os.statvfs("/dev/shm")
    return shared.f_bfree * shared.f_frsize


def main() -> int:
    """Run everything, and update the file after each measurement."""
    OUTPUT.parent.mkdir(exist_ok=True)
    rows_so_far: list[dict[str, object]] = []

    def record(figures: dict[str, object]) -> None:
        rows_so_far.append(figures)
        print(json.dumps(figures), flush=True)
        OUTPUT.write_text(json.dumps(rows_so_far, indent=1) + "\n")

    for rows in (1_000_000, 10_000_000):
        record(asdict(publishing.measure(rows)))
    for dataset in HARNESS:
        record({**asdict(dataset), "shards": dataset.shards, **asdict(night(dataset))})
    return 0


if __name__ == "__main__":
    sys.exit(main())
