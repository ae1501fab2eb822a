"""A store with both splits of a small dataset published, and its report."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import Chromium, quiet
from report_folder import write
from report_store import METRICS, Examples, publish_scores, shapes, write_dataset

from scoring.store.storage import Storage

CLASSES = ("circle", "square", "star")


@pytest.fixture(scope="session")
def examples() -> dict[str, Examples]:
    return {"train": shapes(90, 3, seed=1), "test": shapes(66, 3, seed=2)}


@pytest.fixture(scope="session")
def store(tmp_path_factory, examples) -> str:
    uri = str(tmp_path_factory.mktemp("published") / "store")
    versions = write_dataset(Storage(uri), "shapes", examples, CLASSES)
    publish_scores(Storage(uri), "shapes", versions, examples)
    return uri


@pytest.fixture(scope="session")
def folder(store, tmp_path_factory) -> Path:
    return write(store, METRICS, tmp_path_factory.mktemp("written") / "report")


@pytest.fixture
def page(browser: Chromium) -> Iterator[Chromium]:
    """The browser at its default size. Errors and requests to other hosts fail the test."""
    with quiet(browser) as tab:
        yield tab


@pytest.fixture
def address(store: str) -> str:
    """The page that lies beside the store of a module."""
    return (Path(store).parent / "page" / "index.html").as_uri()
