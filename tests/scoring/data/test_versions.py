from dataclasses import replace

import numpy as np
import pytest
from image_files import grey_pngs, pixels, write_parquet
from ingest_here import ingest, parquet

from scoring.data.shards import ShardRecord
from scoring.data.versions import all_versions, load_training_set, load_version
from scoring.errors import BadStore
from scoring.store.layout import version_path
from scoring.store.records import write_twice
from scoring.store.storage import Storage


@pytest.fixture
def storage(store_uri):
    return Storage(store_uri)


@pytest.fixture
def source(tmp_path):
    files, labels = grey_pngs(11), [i % 3 for i in range(11)]
    files[5], labels[2] = b"this is not an image", None
    train = write_parquet(tmp_path / "train.parquet", files, labels)
    test = write_parquet(tmp_path / "test.parquet", grey_pngs(3, first=50), [0, 1, 2])
    return parquet(train, test)


def test_versions_round_trip(storage, source):
    saved = ingest(source, storage, max_corrupt=0.2)
    for split, version in saved.items():
        assert load_version(storage, "mine", split, version.version) == version
        assert all_versions(storage, "mine", split) == [version]
    assert (saved["train"].rows, saved["train"].undecodable, saved["train"].trainable) == (11, 1, 9)
    assert all_versions(storage, "nothing", "train") == []


def test_a_version_under_the_name_of_another_is_refused(storage, source):
    saved = ingest(source, storage, max_corrupt=0.2)
    test = version_path("mine", "test", saved["test"].version)
    write_twice(storage, test, saved["train"])
    with pytest.raises(BadStore, match=f"expected the version that {test} is named after, got"):
        load_version(storage, "mine", "test", saved["test"].version)


def test_the_training_set_holds_the_trainable_rows(storage, source):
    version = ingest(source, storage, max_corrupt=0.2)["train"]
    data = load_training_set(storage, version)
    kept = [i for i in range(11) if i not in (2, 5)]
    assert (len(data), data.classes, data.shape) == (9, 3, (8, 8, 1))
    assert np.array_equal(data.inputs[..., 0], np.stack([pixels(i) for i in kept]))
    assert data.labels.tolist() == [i % 3 for i in kept]


def test_the_training_set_can_be_decoded_into_a_given_array(tmp_path, source):
    storage = Storage(str(tmp_path / "store"))
    version = ingest(source, storage, max_corrupt=0.2)["train"]
    array = np.full((11, 8, 8, 1), 7, dtype=np.uint8)
    data = load_training_set(storage, version, into=array)
    assert np.shares_memory(data.inputs, array)
    assert np.array_equal(data.inputs, load_training_set(storage, version).inputs)
    assert (array[9:] == 7).all()


def test_the_training_set_is_in_id_order(tmp_path):
    """A middle piece that grew has its ids, and so its rows, at the end."""
    storage = Storage(str(tmp_path / "store"))

    def save(rows):
        write_parquet(tmp_path / "train" / "a.parquet", grey_pngs(rows), [0] * rows)

    write_parquet(tmp_path / "train" / "b.parquet", grey_pngs(2, first=50), [1, 1])
    save(2)
    source = parquet(str(tmp_path / "train"), str(tmp_path / "train" / "b.parquet"))
    assert load_training_set(storage, ingest(source, storage)["train"]).labels.tolist() == [
        0,
        0,
        1,
        1,
    ]
    save(3)
    version = ingest(source, storage)["train"]
    assert [shard.first_id for shard in version.shards] == [4, 2]
    assert load_training_set(storage, version).labels.tolist() == [1, 1, 0, 0, 0]


def test_the_version_covers_all_that_training_and_scoring_see(source, tmp_path):
    version = ingest(source, Storage(str(tmp_path / "store")), max_corrupt=0.2)["train"]
    first, *others = version.shards
    differs = [
        replace(version, classes=("0", "1", "two")),
        replace(version, shape=replace(version.shape, resize=True)),
        replace(version, shards=(*others, first)),
        replace(version, shards=tuple(others)),
        replace(version, shards=(replace(first, content="0" * 32), *others)),
        replace(version, shards=(replace(first, first_id=100), *others)),
    ]
    assert len({version.version, *(other.version for other in differs)}) == 1 + len(differs)
    assert replace(version, ranges={"a@0": (0, 4)}).version == version.version


def test_a_saved_version_is_not_written_again(source, tmp_path, monkeypatch):
    storage = Storage(str(tmp_path / "store"))
    version = ingest(source, storage, max_corrupt=0.2)["train"]
    assert storage.exists(version_path("mine", "train", version.version))
    monkeypatch.setattr(Storage, "write", lambda *_: pytest.fail("wrote again"))
    version.save(storage)


def test_the_path_of_a_shard_follows_its_content():
    record = ShardRecord(content="c" * 32, first_id=0, rows=1, undecodable=0, trainable=1)
    assert record.path("mine") == f"datasets/mine/shards/{'c' * 32}.parquet"
