"""The Ray that a job runs on: the one it was submitted to, or one started for it."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

# Ray samples usage and warns about its own defaults unless told otherwise before its import.
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray


@contextmanager
def cluster(address: str, cpus: int | None) -> Iterator[None]:
    """Join a cluster, or start one on this machine and stop it at the end.

    A bare `ray.init()` would join whatever cluster was last started on this host, so a job that
    was given no address starts its own.

    Args:
        address: of the cluster; empty: `RAY_ADDRESS`, which `ray job submit` sets.
        cpus: of a Ray started here; None: all.
    """
    if ray.is_initialized():
        yield
        return
    address = address or os.environ.get("RAY_ADDRESS", "")
    options: dict[str, object] = {"log_to_driver": False, "logging_level": logging.WARNING}
    if address:
        ray.init(address=address, **options)
    else:
        ray.init(address="local", num_cpus=cpus, include_dashboard=False, **options)
    try:
        yield
    finally:
        ray.shutdown()


def total(resource: str) -> float:
    """How much of a resource the cluster has."""
    return float(ray.cluster_resources().get(resource, 0.0))
