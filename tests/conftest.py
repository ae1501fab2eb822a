"""Fixtures that several folders of tests use."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import chromium
import pytest
from s3_store import s3_gateway, s3_store
from xdist.scheduler import LoadScopeScheduling

from scoring.store.parallel import do_in_parallel
from scoring.store.storage import Storage

__all__ = ["data_root", "lay_down", "s3_gateway", "s3_store", "store_uri"]
Build = Callable[[Storage], None]
LayDown = Callable[[Storage, Build], None]


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real datasets: PROTOSCORE_TEST_DATA, by default ../shared/data."""
    beside = Path(__file__).parent.parent.parent / "shared" / "data"
    root = Path(os.environ.get("PROTOSCORE_TEST_DATA", beside))
    if not root.is_dir():
        pytest.skip(f"needs real datasets in {root} (set PROTOSCORE_TEST_DATA)")
    return root


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Chromium]:
    """A headless Chromium, for modules that are marked `chromium.NEEDED`."""
    with chromium.start(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.s3)])
def store_uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh store: once in a folder, once on a real S3 gateway."""
    if request.param == "s3":
        return str(request.getfixturevalue("s3_store"))
    return str(tmp_path / "store")


@pytest.fixture(scope="session")
def seeds() -> dict[Build, Path]:
    """Stores that were built once in this session."""
    return {}


@pytest.fixture
def lay_down(seeds: dict[Build, Path], tmp_path_factory: pytest.TempPathFactory) -> LayDown:
    """Fill a fresh store with what a function builds: built once, on disk, then copied.

    On S3, a copy takes a fraction of the requests that publishing takes.
    """

    def fill(storage: Storage, build: Build) -> None:
        if build not in seeds:
            seeds[build] = tmp_path_factory.mktemp("seed")
            build(Storage(str(seeds[build])))
        files = [path for path in seeds[build].rglob("*") if path.is_file()]
        names = [str(path.relative_to(seeds[build])) for path in files]
        do_in_parallel(
            lambda pair: storage.write(pair[0], pair[1].read_bytes()),
            zip(names, files, strict=True),
        )

    return fill


def group(nodeid: str) -> str:
    """Return which tests run together: those on Ray, those on S3, else those of a file."""
    path = nodeid.partition("::")[0]
    if "/on_ray/" in path:
        return "ray"
    return "s3" if "s3" in nodeid else path


class ByGroup(LoadScopeScheduling):
    """Gives each group to one worker, so that there is one Ray and one S3 gateway.

    (`xdist_group` marks would say so too, but pytest-xdist 3.8 does not see them in pytest 9.2.)
    """

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByGroup:
    """Share tests out by groups."""
    return ByGroup(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the two longest groups."""
    items.sort(key=lambda item: group(item.nodeid) not in ("ray", "s3"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a skipped test is a test that did not run: PROTOSCORE_NO_SKIPS=1 makes it fail."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("PROTOSCORE_NO_SKIPS") and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
