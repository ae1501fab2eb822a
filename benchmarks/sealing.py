"""Measure what seals cost: the share of a night that goes into hashes and into checking them.

The nights run in one process (`tests/ray_jobs/in_process.py`), where all hashing can be timed. They
do little else: small nets, cheap metrics, and on Fashion-MNIST few epochs. On Ray the share is
lower, as starting it takes longer and hashes nothing.
"""

import os
import tempfile
import time
from pathlib import Path
from types import ModuleType

from benchmarks.jobs import result
from benchmarks.stopwatch import Stopwatch, jobs_in_process, night
from scoring.store import checked_file, parquet, sealed
from scoring.tables import commit, delta, heal, log_entries

_FUNCTIONS: tuple[tuple[ModuleType, str], ...] = (
    (sealed, "_digest"),
    (parquet, "_seal"),
    (checked_file, "_hash"),
    (checked_file, "_footer_digest"),
    (heal, "check_seal"),
    (delta, "check_entries"),
    (delta, "copy_entry"),
    (commit, "copy_entry"),
    (log_entries, "check_entries"),
)
"""All functions that hash; the last five are counted with the reading and writing they do."""
_METRICS = ("--metrics", "conf", "el2n", "msp", "label_margin")
_ROOT = os.environ.get("PROTOSCORE_TEST_DATA", "../shared/data")
_NIGHTS = {
    "digits": ("--dataset", "digits"),
    "fashion_mnist": (
        *("--dataset", "fashion_mnist", "--data-root", _ROOT, "--recipe", "smoke"),
        *("--limit-train", "10000", "--limit-test", "2000", "--shard-rows", "1000"),
    ),
}
_EACH = (_METRICS[:-1], _METRICS, _METRICS)
"""Metrics of the nights: a first one, one that adds a metric, and one with nothing to do."""


def share() -> list[dict[str, object]]:
    """Measure the share of hashing in nights on digits and on part of Fashion-MNIST."""
    with jobs_in_process():
        with tempfile.TemporaryDirectory() as store:
            night(store, *_NIGHTS["digits"], *_METRICS)  # imports what later nights use
        return [_measure(dataset) for dataset in _NIGHTS]


def _measure(dataset: str) -> dict[str, object]:
    watch, flags = Stopwatch(), _NIGHTS[dataset]
    with tempfile.TemporaryDirectory() as store, watch.timing(_FUNCTIONS):
        started = time.perf_counter()
        for metrics in _EACH:
            night(store, *flags, *metrics)
        seconds = time.perf_counter() - started
        size = sum(path.stat().st_size for path in Path(store).rglob("*") if path.is_file())
    note = f"{watch.seconds:.2f} of {seconds:.1f} s, {size / 1e6:.0f} MB, {len(_EACH)} nights"
    return result(f"sealing_{dataset}", 100 * watch.seconds / seconds, "%", "< 3", note)
