"""Time ranking, publishing and querying at sizes beyond a night on one machine."""

import statistics
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from benchmarks.jobs import result, timed
from scoring.score.ranking import rank
from scoring.store.storage import Storage
from scoring.tables import Store
from scoring.tables.manifest import Manifest, Partition
from scoring.tables.publish import publish
from scoring.tables.score_rows import score_rows


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Times for one metric with `rows` random scores."""

    rows: int
    rank_s: float
    publish_s: float
    table_mb: float
    query_s: float
    """Warm query for the 20 most outlying rows of a class: median of three."""


def query() -> list[dict[str, object]]:
    """Time a warm query for the 20 most outlying rows of one class among 1e7."""
    figures = measure(10_000_000)
    note = f"1e7 rows: ranked in {figures.rank_s:.0f} s, published in {figures.publish_s:.0f} s"
    return [result("query_1e7_s", figures.query_s, "s", "< 1", note)]


def measure(rows: int) -> Figures:
    """Publish a partition of random scores and query its outliers."""
    noise = np.random.default_rng(0)
    ids, label = np.arange(rows), noise.integers(0, 10, rows)
    value = noise.normal(size=rows)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        ranks = rank(value=value, label=label, example_id=ids, direction="high")
        ranked = time.perf_counter()
        same = np.zeros(rows, np.int32)
        table = score_rows(
            example_id=ids,
            name=pa.array(np.char.add("test/", ids.astype("U8"))),
            label=label,
            given_label=np.full(rows, -1),
            predicted=label,
            value=value,
            spread=None,
            status=np.full(rows, "", np.object_),
            ranks=ranks,
            scored_at=pa.DictionaryArray.from_arrays(same, pa.array([datetime.now(UTC)])),
            dataset_version="0" * 32,
            score_key=pa.DictionaryArray.from_arrays(same, pa.array(["0" * 32])),
        )
        publish(Storage(folder), [(_manifest(rows), table)])
        published = time.perf_counter()
        store = Store(folder)
        size = sum(file.size for file in Storage(folder).walk("tables/scores"))
        times = [timed(store.outliers, "conf", "test", 7, 20) for _ in range(4)]
    return Figures(
        rows=rows,
        rank_s=ranked - started,
        publish_s=published - ranked,
        table_mb=size / 1e6,
        query_s=statistics.median(times[1:]),
    )


def _manifest(rows: int) -> Manifest:
    return Manifest(
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
