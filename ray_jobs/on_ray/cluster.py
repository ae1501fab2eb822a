"""The Ray that a job runs on: the one it was submitted to, or one started for the job."""

import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray.data import DataContext
from ray.job_config import JobConfig

from ray_jobs.jobs.stalls import watching
from ray_jobs.terminal.say import note
from ray_jobs.terminal.signals import kept_handlers
from scoring import allowed_nets
from scoring.errors import Outage, Terminated

_TOKEN = secrets.token_hex(32)
"""For a Ray that is started here. A process keeps the first token that it used."""


@contextmanager
def cluster(address: str, cpus: int | None) -> Iterator[None]:
    """Join a cluster, or start one on this machine and stop it at the end.

    A bare `ray.init()` would join whatever cluster was last started on this host, so a job without
    an address starts its own. That one listens on loopback only and asks for a token that no file
    holds.

    Args:
        address: the cluster's; "": `RAY_ADDRESS`, which `ray job submit` sets.
        cpus: CPUs of a Ray started here; None: all.
    """
    _quiet()
    if ray.is_initialized():
        yield
        return
    address = address or os.environ.get("RAY_ADDRESS", "")
    options: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        # As for jobs of Ray Client: workers do not import from the current folder.
        "job_config": JobConfig(_client_job=True),
    }
    if address:
        with _starting(f"--address {address}: expected a Ray cluster"):
            ray.init(address=address, runtime_env={"env_vars": _for_workers()}, **options)
        if not total("CPU"):
            note("waiting for nodes: the cluster has no CPU yet")
    else:
        with _own_token(), _starting("expected Ray to start on this machine"):
            ray.init(address="local", num_cpus=cpus, include_dashboard=False, **options)
    try:
        yield
    finally:
        ray.shutdown()


def _for_workers() -> dict[str, str]:
    """Return what workers of a cluster need of this process's environment."""
    name = allowed_nets.VARIABLE
    return {name: os.environ[name]} if name in os.environ else {}


@contextmanager
def _own_token() -> Iterator[None]:
    """Let Ray start with a token of its own.

    Ray would keep one in ~/.ray/auth_token, which other users of the machine may be able to read.
    """
    before = os.environ.get("RAY_AUTH_TOKEN")
    os.environ["RAY_AUTH_TOKEN"] = _TOKEN
    try:
        yield
    finally:
        del os.environ["RAY_AUTH_TOKEN"]
        if before is not None:
            os.environ["RAY_AUTH_TOKEN"] = before


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
