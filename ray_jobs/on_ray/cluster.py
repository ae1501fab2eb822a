"""The Ray that a job runs on: the one it was submitted to, or one started for the job."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Ray reads these when it is imported or started. A job prints one line per stage and nothing else:
# no Tune banners, no trial loggers (each run writes its own record), no usage statistics.
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S", "0")

import ray
from ray.data import DataContext


@contextmanager
def cluster(address: str, cpus: int | None) -> Iterator[None]:
    """Join a cluster, or start one on this machine and stop it at the end.

    A bare `ray.init()` would join whatever cluster was last started on this host, so a job without
    an address starts its own.

    Args:
        address: the cluster's; "": `RAY_ADDRESS`, which `ray job submit` sets.
        cpus: CPUs of a Ray started here; None: all.
    """
    _quiet()
    if ray.is_initialized():
        yield
        return
    address = address or os.environ.get("RAY_ADDRESS", "")
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address:
        ray.init(address=address, **options)
        if not total("CPU"):
            print("waiting for nodes: the cluster has no CPU yet", file=sys.stderr, flush=True)
    else:
        os.environ["PYTHONPATH"] = _import_path()
        ray.init(address="local", num_cpus=cpus, include_dashboard=False, **options)
    try:
        yield
    finally:
        ray.shutdown()


def _import_path() -> str:
    """Return where this process finds a user's own nets, so that workers find them too."""
    installed = (sys.prefix, sys.base_prefix)
    return os.pathsep.join(p for p in sys.path if p and not p.startswith(installed))


def _quiet() -> None:
    """Keep Ray from printing progress, which we print ourselves."""
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    for name in ("ray.data", "ray.tune"):
        logging.getLogger(name).setLevel(logging.ERROR)


def total(resource: str) -> float:
    """Return how much of a resource the cluster has."""
    return float(ray.cluster_resources().get(resource, 0.0))  # type: ignore[no-untyped-call]
