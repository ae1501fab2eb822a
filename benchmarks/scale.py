"""How publishing and queries grow with rows.

python -m benchmarks driver_rss_growth_mb query_1e7_s
"""

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from benchmarks.jobs import result, timed
from scoring.ranking import rank
from scoring.storage import Storage
from scoring.tables import Store
from scoring.tables.manifest import Manifest, Partition
from scoring.tables.publish import publish
from scoring.tables.schemas import score_rows


def driver_memory() -> list[dict[str, object]]:
    """Growth of a driver's peak memory from 1e5 to 1e6 rows ranked and published."""
    peaks = []
    for rows in (100_000, 1_000_000):
        command = [sys.executable, "-m", "benchmarks.scale", str(rows)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        peaks.append(float(done.stdout))
    note = f"peaks {peaks[0]:.0f} and {peaks[1]:.0f} MB, ranking and publishing one metric"
    return [result("driver_rss_growth_mb", peaks[1] - peaks[0], "MB", "< 150", note)]


def query() -> list[dict[str, object]]:
    """The 20 most outlying rows of one class among 1e7, warm."""
    rows = 10_000_000
    with tempfile.TemporaryDirectory() as folder:
        ranking, publishing = publish_noise(folder, rows)
        store = Store(folder)
        times = [timed(store.outliers, "conf", "test", 7, 20) for _ in range(4)]
    note = f"1e7 rows: ranked in {ranking:.0f} s, published in {publishing:.0f} s"
    return [result("query_1e7_s", statistics.median(times[1:]), "s", "< 1", note)]


def publish_noise(folder: str, rows: int) -> tuple[float, float]:
    """Publish a partition of random scores; seconds for ranking, and for the rest."""
    noise = np.random.default_rng(0)
    ids, label = np.arange(rows), noise.integers(0, 10, rows)
    value = noise.normal(size=rows)
    started = time.perf_counter()
    ranks = rank(value=value, label=label, example_id=ids, direction="high")
    ranked = time.perf_counter()
    table = score_rows(
        example_id=ids,
        name=pa.array(np.char.add("test/", ids.astype("U8"))),
        label=label,
        predicted=label,
        value=value,
        spread=None,
        status=np.full(rows, ""),
        ranks=ranks,
        scored_at=datetime.now(UTC),
        dataset_version="0" * 32,
        score_key=pa.repeat(pa.scalar("0" * 32), rows),
    )
    manifest = Manifest(
        partition=Partition("noise", "test", "conf"),
        key="noise",
        night_id="night",
        planned_at=datetime.now(UTC).isoformat(),
        settings={},
        dataset_version="0" * 32,
        trained_on={},
        runs=(),
        rows=rows,
    )
    publish(Storage(folder), [(manifest, table)])
    return ranked - started, time.perf_counter() - ranked


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        publish_noise(scratch, int(sys.argv[1]))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
