"""Fixtures that several folders of tests use."""

import os
from pathlib import Path

import pytest
from s3_store import s3_gateway, s3_store

__all__ = ["data_root", "s3_gateway", "s3_store", "store_uri"]


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real datasets: PROTOSCORE_TEST_DATA, by default ../shared/data."""
    beside = Path(__file__).parent.parent.parent / "shared" / "data"
    root = Path(os.environ.get("PROTOSCORE_TEST_DATA", beside))
    if not root.is_dir():
        pytest.skip(f"needs real datasets in {root} (set PROTOSCORE_TEST_DATA)")
    return root


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.s3)])
def store_uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh store: once in a folder, once on a real S3 gateway."""
    if request.param == "s3":
        return str(request.getfixturevalue("s3_store"))
    return str(tmp_path / "store")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Share tests out file by file, and give each worker one of what is slow to start.

    All tests on Ray run in one worker, on one Ray; all tests on S3 in one, on one gateway. These
    two groups are the longest, so they begin first.
    """
    groups = ("ray", "s3")

    def group(item: pytest.Item) -> str:
        return next((name for name in groups if item.get_closest_marker(name)), item.path.name)

    for item in items:
        item.add_marker(pytest.mark.xdist_group(group(item)))
    items.sort(key=lambda item: group(item) not in groups)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a skipped test is a test that did not run: PROTOSCORE_NO_SKIPS=1 makes it fail."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("PROTOSCORE_NO_SKIPS") and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
