"""A Ray of the tests' own, for jobs to run on."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ray_jobs.cli import main
from ray_jobs.on_ray.cluster import cluster


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    """One Ray for all tests of a session: jobs find it started and use it.

    Of two workers that share the tests each has one CPU: every actor costs seconds to start.
    """
    with cluster("", 1 if "PYTEST_XDIST_WORKER" in os.environ else 2):
        yield


@pytest.fixture
def rescore(local_ray: None, tmp_path: Path) -> Callable[..., int]:
    """Run `protoscore rescore`, by default on a fresh store and with runs of one epoch.

    Batches are small, for shards are, and would be padded to full ones.
    """
    defaults = {"--recipe": "smoke", "--batch-rows": "50"}

    def run(*flags: str, store: str | Path = tmp_path / "store") -> int:
        more = [part for flag in defaults.items() if flag[0] not in flags for part in flag]
        return main(["rescore", "--store", str(store), *flags, *more])

    return run
