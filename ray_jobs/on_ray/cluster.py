"""The Ray that a job runs on: the one it was submitted to, or one started for the job."""

import logging
import os
import secrets
import textwrap
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ray
from ray._private import worker
from ray.data import DataContext
from ray.job_config import JobConfig

from ray_jobs.jobs.stalls import watching
from ray_jobs.terminal.say import note
from ray_jobs.terminal.signals import kept_handlers
from scoring import allowed_nets
from scoring.errors import Outage, Terminated

_TOKEN = secrets.token_hex(32)
"""For a Ray that is started here. A process keeps the first token that it used."""


TASK_RETRIES: dict[str, Any] = {"max_retries": 8}
ACTOR_RETRIES: dict[str, Any] = {"max_restarts": 20, "max_task_retries": 8}
"""How often Ray Data begins again after a worker has died. By default that is for ever, so that a
shard which kills its workers would be a night without an end."""
_LINE = 200  # characters of what Ray says


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
    # Ray 2.60 has no other way to say how often to try again.
    warnings.filterwarnings("ignore", "`ray_remote_args` is deprecated")
    # Ray prints what happens to workers: fifty lines for each that it kills for want of memory.
    worker.print_to_stdstream = _note_first_line
    for name in ("ray.data", "ray.tune"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # errors are said by us, in one line


def _note_first_line(data: Mapping[str, Any], ignore_prefix: bool) -> None:
    """Pass on the first line of each message of Ray."""
    for message in data["lines"]:
        first = str(message).partition("\n")[0]
        note(f"ray: {textwrap.shorten(first, _LINE)}")


def total(resource: str) -> float:
    """Return how much of a resource the cluster has."""
    return float(ray.cluster_resources().get(resource, 0.0))  # type: ignore[no-untyped-call]
