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
os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")  # it would turn Ctrl-C into failed runs
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S", "0")

import ray
from ray.data import DataContext

from ray_jobs.jobs.stalls import watching
from ray_jobs.terminal.signals import kept_handlers
from scoring.errors import Outage, Terminated


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
        with _starting(f"--address {address}: expected a Ray cluster"):
            ray.init(address=address, **options)
        if not total("CPU"):
            print("waiting for nodes: the cluster has no CPU yet", file=sys.stderr, flush=True)
    else:
        os.environ["PYTHONPATH"] = _import_path()
        with _starting("expected Ray to start on this machine"):
            ray.init(address="local", num_cpus=cpus, include_dashboard=False, **options)
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _starting(expected: str) -> Iterator[None]:
    """Start or join Ray, which takes the handlers of signals for itself.

    Raises:
        Outage: it does not work, and why.
    """
    try:
        with kept_handlers(), watching("start", "Ray"):
            yield
    except SystemExit:  # what Ray's handler makes of SIGTERM
        raise Terminated from None
    except Exception as error:
        why = next(iter(str(error).splitlines()), "")
        raise Outage(
            f"{expected}, got {type(error).__name__}: {why}; look at memory, disk and the logs in "
            "Ray's session folder (/tmp/ray/session_latest/logs), then run the same command again"
        ) from error


def _import_path() -> str:
    """Return where this process finds a user's own nets, so that workers find them too."""
    installed = (sys.prefix, sys.base_prefix)
    return os.pathsep.join(p for p in sys.path if p and not p.startswith(installed))


def _quiet() -> None:
    """Keep Ray from printing progress, which we print ourselves."""
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.raise_original_map_exception = True  # which `errors` can read
    for name in ("ray.data", "ray.tune"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # errors are said by us, in one line


def total(resource: str) -> float:
    """Return how much of a resource the cluster has."""
    return float(ray.cluster_resources().get(resource, 0.0))  # type: ignore[no-untyped-call]
