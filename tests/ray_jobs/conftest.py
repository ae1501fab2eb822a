"""Where jobs run in these tests: in this process, or on a Ray started for the tests."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from in_process import Rescore, jobs_in_process, rescoring
from small_plans import SMALL

from ray_jobs.cli import main
from scoring.allowed_nets import allow_nets


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    """One Ray for all tests of a session: jobs find it started and use it.

    Workers learn when they start where tests lie, whose functions they call, and which net of the
    user's is allowed.
    """
    from ray_jobs.on_ray.cluster import cluster

    tests = str(Path(__file__).parent.parent)
    folders = [folder for folder in sys.path if folder.startswith(tests)]
    allow_nets(["own_nets:fails_once"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([os.environ.get("PYTHONPATH", tests), *folders]))
        with cluster("", 2):
            yield


@pytest.fixture(scope="module")
def in_process() -> Iterator[None]:
    """Let jobs of a module run in this process, without Ray."""
    with jobs_in_process():
        yield


@pytest.fixture(scope="session")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with digits and nothing else, to plan on; tests leave it as it is."""
    store = str(tmp_path_factory.mktemp("ingested") / "store")
    with jobs_in_process():
        assert main(["ingest", *SMALL, "--store", store]) == 0
    return store


@pytest.fixture
def rescore(in_process: None, tmp_path: Path) -> Rescore:
    """Run `protoscore rescore` in this process."""
    return rescoring(tmp_path / "store")


@pytest.fixture
def rescore_on_ray(local_ray: None, tmp_path: Path) -> Rescore:
    """Run `protoscore rescore` on Ray."""
    return rescoring(tmp_path / "store")
