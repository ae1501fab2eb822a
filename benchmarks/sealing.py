"""Measure what seals cost: the share of a night that goes into hashes and into checking them.

The nights run in one process (`tests/ray_jobs/in_process.py`), where all hashing can be timed. They
do little else: small nets, cheap metrics, and on Fashion-MNIST few epochs. On Ray the share is
lower, as starting it takes longer and hashes nothing.
"""

import io
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

from benchmarks.jobs import result
from ray_jobs.cli import main
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


class Stopwatch:
    """Adds up the seconds of calls; a call within a timed one counts once."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._inside = threading.local()
        self._adding = threading.Lock()

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function."""

        def call(*args: object, **kwargs: object) -> Any:  # noqa: ANN401
            if getattr(self._inside, "yes", False):
                return function(*args, **kwargs)
            self._inside.yes, started = True, time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self._inside.yes = False
                with self._adding:
                    self.seconds += time.perf_counter() - started

        return call


def share() -> list[dict[str, object]]:
    """Measure the share of hashing in nights on digits and on part of Fashion-MNIST."""
    with _jobs_in_process():
        with tempfile.TemporaryDirectory() as store:
            _night(store, _NIGHTS["digits"], *_METRICS)  # imports what later nights use
        return [_measure(dataset) for dataset in _NIGHTS]


def _measure(dataset: str) -> dict[str, object]:
    watch, flags = Stopwatch(), _NIGHTS[dataset]
    with tempfile.TemporaryDirectory() as store, _timing(watch):
        started = time.perf_counter()
        for metrics in _EACH:
            _night(store, flags, *metrics)
        seconds = time.perf_counter() - started
        size = sum(path.stat().st_size for path in Path(store).rglob("*") if path.is_file())
    note = f"{watch.seconds:.2f} of {seconds:.1f} s, {size / 1e6:.0f} MB, {len(_EACH)} nights"
    return result(f"sealing_{dataset}", 100 * watch.seconds / seconds, "%", "< 3", note)


def _night(store: str, flags: tuple[str, ...], *metrics: str) -> None:
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        code = main(["rescore", "--store", f"{store}/store", *flags, *metrics])
    if code:
        raise RuntimeError(said.getvalue())


@contextmanager
def _timing(watch: Stopwatch) -> Iterator[None]:
    patches = [
        patch.object(module, name, watch.timed(getattr(module, name)))
        for module, name in _FUNCTIONS
    ]
    for each in patches:
        each.start()
    try:
        yield
    finally:
        for each in patches:
            each.stop()


def _jobs_in_process() -> Any:  # noqa: ANN401
    sys.path.append(str(Path(__file__).parent.parent / "tests" / "ray_jobs"))
    return import_module("in_process").jobs_in_process()
