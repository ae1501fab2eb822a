import os
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from image_files import grey_pngs, write_parquet
from ingest_here import ingest, parquet

from scoring.data import mapped_set
from scoring.data.mapped_set import map_training_set
from scoring.data.versions import load_training_set
from scoring.errors import Outage
from scoring.store.scratch import Scratch
from scoring.store.storage import Storage


@pytest.fixture
def storage(tmp_path):
    return Storage(str(tmp_path / "store"))


@pytest.fixture
def version(tmp_path, storage):
    """Eleven rows, of which one has no label and one no image."""
    files, labels = grey_pngs(11), [i % 3 for i in range(11)]
    files[5], labels[2] = b"this is not an image", None
    train = write_parquet(tmp_path / "train.parquet", files, labels)
    test = write_parquet(tmp_path / "test.parquet", grey_pngs(3, first=50), [0, 1, 2])
    return ingest(parquet(train, test), storage, max_corrupt=0.2)["train"]


@pytest.fixture
def scratch(tmp_path):
    (tmp_path / "scratch").mkdir()
    return Scratch(str(tmp_path / "scratch"))


@pytest.fixture
def decoded(monkeypatch):
    """Which versions were decoded."""
    calls = []

    def load(storage, version, **into):
        calls.append(version.version)
        return load_training_set(storage, version, **into)

    monkeypatch.setattr(mapped_set, "load_training_set", load)
    return calls


def check_same(mapped, loaded):
    for name in ("ids", "inputs", "labels"):
        one, other = getattr(mapped, name), getattr(loaded, name)
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype
    assert (mapped.classes, mapped.shape) == (loaded.classes, loaded.shape)


def test_it_equals_the_set_in_memory(storage, version, scratch):
    data = map_training_set(storage, version, scratch)
    check_same(data, load_training_set(storage, version))
    assert not data.inputs.flags.writeable
    assert not data.inputs.flags.owndata


def test_it_is_decoded_once_while_it_is_used(storage, version, scratch, decoded):
    first = map_training_set(storage, version, scratch)
    second = map_training_set(storage, version, scratch)
    assert decoded == [version.version]
    check_same(first, second)


def test_it_leaves_nothing(storage, version, scratch):
    part = map_training_set(storage, version, scratch).only(np.array([3]), np.array([0]))
    assert len(os.listdir(scratch.path)) == 3  # a mark, the data and its lock
    del part
    assert os.listdir(scratch.path) == ["made-by-protoscore"]


def test_planted_arrays_are_not_trained_on(storage, version, scratch):
    """Whoever may write where decoded data will be could choose what is trained on."""
    loaded = load_training_set(storage, version)
    held = map_training_set(storage, version, scratch)
    (folder,) = (path for path in scratch.path.iterdir() if path.is_dir())
    del held
    folder.mkdir()
    np.zeros_like(loaded.inputs).tofile(folder / "inputs")
    loaded.ids.tofile(folder / "ids")
    np.zeros_like(loaded.labels).tofile(folder / "labels")
    check_same(map_training_set(storage, version, scratch), loaded)


def test_a_disk_without_room_is_one_line(storage, version, scratch, decoded, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=10**6))
    with pytest.raises(Outage, match=r"--scratch .*: expected 0\.105 GB free in .*, got 0\.001 GB"):
        map_training_set(storage, version, scratch)
    assert decoded == []


def test_a_split_without_rows(storage, version, scratch):
    assert len(map_training_set(storage, replace(version, shards=()), scratch)) == 0
