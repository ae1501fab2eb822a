"""A published store with examples that are awkward to export, and a selection from it."""

from dataclasses import replace
from pathlib import Path

import pytest
from awkward import BROKEN, CLASSES, UNLABELLED, UNNAMED
from report_store import Examples, publish_scores, shapes, write_dataset

from scoring.analysis.snapshot import take_snapshot
from scoring.exports import Format, Selection, select
from scoring.store.storage import Storage


@pytest.fixture(scope="session")
def examples() -> dict[str, Examples]:
    """Training images are files, test images are pixels; each split has several shards."""
    train, test = shapes(60, 3, seed=1), shapes(40, 3, seed=2)
    label, names = train.label.copy(), [f"folder/{i}.jpg" for i in range(60)]
    label[UNLABELLED], names[UNNAMED] = -1, None
    return {
        "train": replace(train, label=label, names=names, broken=frozenset({BROKEN})),
        "test": test,
    }


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory, examples: dict[str, Examples]) -> str:
    storage = Storage(str(tmp_path_factory.mktemp("published") / "store"))
    versions = write_dataset(storage, "shapes", examples, CLASSES)
    publish_scores(storage, "shapes", versions, examples)
    return storage.uri


@pytest.fixture(scope="session")
def selection(store: str) -> Selection:
    return select(take_snapshot(store), ("train", "test"), ())


@pytest.fixture
def write(selection: Selection, tmp_path: Path):
    """Write the selection in a format; return the path."""

    def run(style: Format) -> Path:
        path, done = tmp_path / f"out{style.suffix}", []
        if style.folder:
            path.mkdir()
        rows = style.write(selection, path, done.append)
        assert sum(done) == selection.rows >= rows
        return path

    return run
