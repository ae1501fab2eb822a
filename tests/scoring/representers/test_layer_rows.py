"""Rows of a layer in scratch space are those in memory."""

import os
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from scoring.data.images import ImageShape
from scoring.data.shards import ShardRecord
from scoring.data.versions import DatasetVersion
from scoring.errors import Outage
from scoring.representers.decomposition import LayerAtRest
from scoring.representers.explainer import Explainer
from scoring.representers.layer_rows import Activated, gather_rows
from scoring.representers.losses import SOFTMAX
from scoring.staged.features import StagedFeatures, write_features
from scoring.store.layout import features_path
from scoring.store.scratch import Scratch
from scoring.store.storage import Storage

RUN, LAYER, KEY = "r" * 32, "last", "0" * 32


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """A store with the features of two shards, of which one row has no label."""
    storage, draws = Storage(str(tmp_path / "store")), np.random.default_rng(0)
    for first, content in ((0, "a" * 32), (3, "b" * 32)):
        staged = StagedFeatures(
            ids=np.arange(first, first + 3),
            labels=np.array([0, 1, -1 if first else 1]),
            features=draws.random((3, 5), np.float32),
            outputs=draws.random((3, 2), np.float32),
        )
        write_features(storage, features_path(RUN, LAYER, content), staged)
    return storage


@pytest.fixture
def version() -> DatasetVersion:
    shards = [
        ShardRecord(content=content * 32, first_id=first, rows=3, undecodable=0, trainable=3)
        for content, first in (("a", 0), ("b", 3))
    ]
    return DatasetVersion(
        name="mine",
        split="train",
        classes=("0", "1"),
        shape=ImageShape(height=8, width=8, channels=1),
        shards=tuple(shards),
        ranges={},
    )


def left(place: Path) -> list[str]:
    return sorted(os.listdir(place / f"protoscore-scratch-{os.geteuid()}"))


def test_rows_in_scratch_space_are_those_in_memory(
    storage: Storage, version: DatasetVersion, tmp_path: Path
) -> None:
    memory = gather_rows(storage, RUN, LAYER, version, memory=1000)
    disk = gather_rows(storage, RUN, LAYER, version, memory=0, scratch=str(tmp_path))
    assert left(tmp_path)[0].startswith("features-")
    assert memory.ids.tolist() == disk.ids.tolist() == [0, 1, 2, 3, 4]
    assert memory.labels.tolist() == disk.labels.tolist() == [0, 1, 1, 0, 1]
    for one, other in ((memory.features, disk.features), (memory.outputs, disk.outputs)):
        assert one.shape == other.shape
        rows = np.array([4, 0, 2])
        for part in (slice(None), slice(1, 3), slice(3, 1), rows, rows[:0]):
            np.testing.assert_array_equal(one[part], other[part])
    outputs = disk.outputs
    del disk, other
    assert len(left(tmp_path)) == 3  # a mark, the rows and their lock: outputs are still read
    del outputs
    assert left(tmp_path) == ["made-by-protoscore"]


def test_rows_that_are_cut_off_while_they_are_read(
    storage: Storage, version: DatasetVersion, tmp_path: Path
) -> None:
    rows = gather_rows(storage, RUN, LAYER, version, memory=0, scratch=str(tmp_path))
    (file,) = tmp_path.glob("protoscore-scratch-*/features-*/features")
    os.truncate(file, 50)
    with pytest.raises(Outage, match="scratch space: expected 5 rows in a file, got fewer"):
        rows.features[:]


def test_explanations_with_alpha_on_disk_are_those_in_memory(
    storage: Storage, version: DatasetVersion, tmp_path: Path
) -> None:
    rows = gather_rows(storage, RUN, LAYER, version, memory=1000)
    weights = torch.from_numpy(np.random.default_rng(1).random((2, 5)))
    rest = LayerAtRest(weights=weights, loss=SOFTMAX, penalty=0.01, rows=5)
    take = partial(Scratch(str(tmp_path)).take, "alpha", KEY)
    queries, outputs = rows.features[:2], np.array([[0], [1]])
    points = [
        Explainer(rows, rest, Activated(rows.outputs, SOFTMAX), *where).points(queries, outputs, 3)
        for where in ((), (take,))
    ]
    for name in ("train_id", "alpha", "similarity", "value", "rank"):
        np.testing.assert_array_equal(*(getattr(found, name) for found in points))
    assert left(tmp_path) == ["made-by-protoscore"]


def test_more_points_than_rows_are_all_rows_on_disk_as_in_memory(
    storage: Storage, version: DatasetVersion, tmp_path: Path
) -> None:
    rest = LayerAtRest(weights=torch.ones(2, 5).double(), loss=SOFTMAX, penalty=0.01, rows=5)
    found = []
    for memory in (1000, 0):
        rows = gather_rows(storage, RUN, LAYER, version, memory=memory, scratch=str(tmp_path))
        explainer = Explainer(rows, rest, Activated(rows.outputs, SOFTMAX))
        found.append(explainer.points(rows.features[:2], np.array([[0], [1]]), 40))
    one, other = found
    np.testing.assert_array_equal(one.train_id, other.train_id)
    assert 0 < len(one.train_id) <= 2 * 5


def test_a_shard_without_such_examples_has_no_explanations(
    storage: Storage, version: DatasetVersion
) -> None:
    rows = gather_rows(storage, RUN, LAYER, version, memory=1000)
    rest = LayerAtRest(weights=torch.ones(2, 5).double(), loss=SOFTMAX, penalty=0.01, rows=5)
    explainer = Explainer(rows, rest, Activated(rows.outputs, SOFTMAX))
    points = explainer.points(rows.features[:0], np.empty((0, 1), np.int64), 3)
    assert {len(column) for column in vars(points).values()} == {0}


def test_a_disk_without_room_is_one_line(
    storage: Storage, version: DatasetVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=10**6))
    with pytest.raises(Outage, match=r"--scratch .*: expected 0\.105 GB free .* got 0\.001 GB"):
        gather_rows(storage, RUN, LAYER, version, memory=0, scratch=str(tmp_path))
