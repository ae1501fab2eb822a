import os
import threading

import numpy as np
import pytest
from image_files import encode, grey_pngs, pixels, write_parquet
from ingest_here import ingest, missing, parquet, survey_splits

from scoring.data import ingest as ingest_module
from scoring.data import parquet_rows
from scoring.data.ingest import assemble, ingest_piece, remember_layout
from scoring.data.shard_parts import read_columns
from scoring.data.versions import load_training_set
from scoring.errors import BadData, Damaged
from scoring.store.storage import Storage


@pytest.fixture
def storage(tmp_path):
    return Storage(str(tmp_path / "store"))


@pytest.fixture
def save(tmp_path):
    """Write files below `train/`, given as {name: rows}; every row has a different image."""

    def write(files, broken=()):
        for name, rows in files.items():
            images = [
                b"text" if (name, i) in broken else encode(pixels(ord(name) * 100 + i))
                for i in range(rows)
            ]
            path = tmp_path / "train" / f"{name}.parquet"
            write_parquet(path, images, [i % 2 for i in range(rows)])

    write_parquet(tmp_path / "test.parquet", grey_pngs(3), [0, 1, 0])
    return write


@pytest.fixture
def source(tmp_path):
    return parquet(str(tmp_path / "train"), str(tmp_path / "test.parquet"))


def ids(storage, version):
    """Map the name of every example, `file:row`, to its id."""
    found = {}
    for record in version.shards:
        columns = read_columns(storage, version.name, record, ("example_id", "name"))
        found |= dict(zip(*reversed([c.to_pylist() for c in columns.columns]), strict=True))
    return found


def receipts(storage):
    return storage.names("datasets/mine/receipts")


def test_a_survey_writes_nothing(storage, source, save):
    save({"a": 9})
    surveys = survey_splits(source, storage)
    assert missing(surveys) == ["train/a.parquet@0", "train/a.parquet@4", "train/a.parquet@8",
                                "test/test.parquet@0"]  # fmt: skip
    assert (surveys["train"].rows, surveys["test"].rows) == (9, 3)
    assert storage.names("") == set()


def test_a_second_ingest_reads_nothing(storage, source, save, monkeypatch):
    save({"a": 9})
    before = ingest(source, storage)
    monkeypatch.setattr(type(source), "read", lambda *_: pytest.fail("read again"))
    monkeypatch.setattr(type(source), "layout", lambda *_: pytest.fail("read the layout again"))
    assert missing(survey_splits(source, storage)) == []
    assert ingest(source, storage) == before


def test_an_appended_file_costs_only_itself(storage, source, save):
    save({"a": 9})
    before = ingest(source, storage)["train"]
    save({"b": 4})
    assert missing(survey_splits(source, storage)) == ["train/b.parquet@0"]
    after = ingest(source, storage)["train"]
    assert after.shards[:3] == before.shards
    assert after.shards[3].first_id == 9


def test_a_touched_file_gives_the_same_version(storage, source, save, tmp_path):
    save({"a": 9, "b": 2})
    before = ingest(source, storage)
    shards = storage.names("datasets/mine/shards")
    os.utime(tmp_path / "train" / "a.parquet", (1, 1))
    assert (
        len(missing(survey_splits(source, storage))) == 3
    )  # the bytes may have changed, so they are read
    assert ingest(source, storage) == before
    assert storage.names("datasets/mine/shards") == shards


def test_a_grown_file_keeps_its_ids_in_place_only_at_the_end(storage, source, save):
    save({"a": 6, "b": 6})
    before = ids(storage, ingest(source, storage)["train"])
    save({"b": 9})  # the last one: in place
    grown = ids(storage, ingest(source, storage)["train"])
    assert grown == before | {f"b.parquet:{i}": 6 + i for i in range(6, 9)}
    save({"a": 7})  # in the middle: its changed piece goes to the end
    moved = ids(storage, ingest(source, storage)["train"])
    assert moved == grown | {f"a.parquet:{i}": 15 + i - 4 for i in range(4, 7)}


def test_ids_of_a_removed_file_are_not_reused(storage, source, save, tmp_path):
    save({"a": 4, "b": 4})
    before = ids(storage, ingest(source, storage)["train"])
    (tmp_path / "train" / "b.parquet").unlink()
    ingest(source, storage)
    save({"c": 4})
    assert ids(storage, ingest(source, storage)["train"])["c.parquet:0"] == 8
    save({"b": 4})
    after = ids(storage, ingest(source, storage)["train"])
    assert after == before | {f"c.parquet:{i}": 8 + i for i in range(4)}


def test_limits_change_no_ids(storage, source, save):
    save({"a": 6, "b": 6})
    few = ids(storage, ingest(source, storage, train=5, test=1)["train"])
    more = ids(storage, ingest(source, storage, train=8)["train"])
    everything = ids(storage, ingest(source, storage)["train"])
    assert list(few.values()) == list(range(5))
    assert few.items() < more.items() < everything.items()
    assert list(everything.values()) == list(range(12))


@pytest.mark.parametrize("seed", range(12))
def test_random_histories_end_as_a_fresh_ingest_would(seed, storage, source, save, tmp_path):
    """Files appear, grow, change and disappear, under limits; rows and content are up to date."""
    random = np.random.default_rng(seed)
    (tmp_path / "train").mkdir()
    files, seen = {}, {}
    for night in range(6):
        name = random.choice(list("abc"))
        files[name] = int(random.integers(1, 11))
        if random.random() < 0.3 and len(files) > 1:
            gone = random.choice(sorted(set(files) - {name}))
            del files[gone]
            (tmp_path / "train" / f"{gone}.parquet").unlink()
        save({**files, "z": 2})
        limit = int(random.integers(1, 20)) if random.random() < 0.3 else None
        version = ingest(source, storage, train=limit)["train"]
        now = ids(storage, version)
        expected = [
            f"{n}.parquet:{i}" for n, rows in sorted({**files, "z": 2}.items()) for i in range(rows)
        ][:limit]
        assert list(now) == expected
        assert len(set(now.values())) == len(now)
        for example, row in ((v, k) for k, v in now.items()):
            assert seen.setdefault(example, row) == row
        fresh = Storage(str(tmp_path / f"fresh{night}"))
        other = load_training_set(fresh, ingest(source, fresh, train=limit)["train"])
        mine = load_training_set(storage, version)
        order = np.argsort([now[name] for name in expected])
        assert np.array_equal(mine.inputs, other.inputs[order])
        assert np.array_equal(mine.labels, other.labels[order])


def test_a_crash_keeps_the_finished_shards(storage, source, save, monkeypatch):
    save({"a": 9})
    reads = []
    original = type(source).read

    def crash(self, split, piece):
        reads.append(piece.start)
        if len(reads) == 2:
            raise KeyboardInterrupt
        return original(self, split, piece)

    monkeypatch.setattr(type(source), "read", crash)
    with pytest.raises(KeyboardInterrupt):
        ingest(source, storage)
    assert len(receipts(storage)) == 1
    assert ingest(source, storage)["train"].rows == 9
    assert reads == [0, 4, 4, 8, 0]


def test_broken_images_are_kept_counted_and_left_out_of_training(storage, source, save):
    save({"a": 9}, broken=[("a", 3), ("a", 8)])
    versions = ingest(source, storage, max_corrupt=0.3)
    train = versions["train"]
    assert (train.rows, train.undecodable, train.trainable) == (9, 2, 7)
    assert sorted(ids(storage, train).values()) == list(range(9))
    assert len(load_training_set(storage, train)) == 7
    with pytest.raises(
        BadData,
        match=r"--max-corrupt: expected at most 22 % undecodable images, got 2 of 9 in mine train",
    ):
        ingest(source, storage, max_corrupt=0.22)
    assert ingest(source, storage, max_corrupt=2 / 9) == versions


def test_a_split_without_trainable_rows_is_refused(storage, source, tmp_path, save):
    save({})
    write_parquet(tmp_path / "train" / "a.parquet", grey_pngs(6), [None, None, None, None, 0, 1])
    with pytest.raises(BadData, match=r"expected training rows with a label .* got none in mine"):
        ingest(source, storage, train=4)
    assert ingest(source, storage, train=5)["train"].trainable == 1


def test_a_test_split_needs_no_labels(storage, source, tmp_path, save):
    save({"a": 2})
    write_parquet(tmp_path / "test.parquet", grey_pngs(2), [None, None], label_type="int64")
    assert ingest(source, storage)["test"].trainable == 0
    write_parquet(tmp_path / "test.parquet", grey_pngs(3), [None] * 3)
    assert ingest(source, storage)["test"].rows == 3


def test_a_file_that_changes_between_survey_and_read_is_refused(storage, source, save):
    save({"a": 9})
    surveys = survey_splits(source, storage)
    save({"a": 7})
    layout = surveys["train"].layout
    with pytest.raises(
        BadData, match=r"--train: expected 'a.parquet' to stay unchanged, .* run again"
    ):
        ingest_piece(source, storage, layout, surveys["train"].shards[0])
    assert receipts(storage) == set()
    # The layout was read from the old files.
    remember_layout(source, storage, layout)
    assert survey_splits(source, storage)["train"].layout.state != layout.state


def test_fewer_rows_than_surveyed_make_no_shard(storage, source, save, monkeypatch):
    save({"a": 9})
    planned = survey_splits(source, storage)["train"].shards[0]
    original = type(source).read

    def lose_one(self, split, piece):
        rows = original(self, split, piece)
        return ingest_module.replace(
            rows, labels=rows.labels[1:], names=rows.names[1:], encoded=rows.encoded[1:]
        )

    monkeypatch.setattr(type(source), "read", lose_one)
    with pytest.raises(BadData, match=r"expected 4 rows of 'a.parquet' from row 0, got 3"):
        ingest_piece(source, storage, survey_splits(source, storage)["train"].layout, planned)
    assert receipts(storage) == set()


def test_a_new_class_changes_the_version_but_no_earlier_shard(storage, source, save, tmp_path):
    save({"a": 4})
    before = ingest(source, storage)["train"]
    write_parquet(tmp_path / "train" / "b.parquet", grey_pngs(2), [2, 2])
    after = ingest(source, storage)["train"]
    assert (before.classes, after.classes) == (("0", "1"), ("0", "1", "2"))
    assert after.shards[0] == before.shards[0]
    assert after.version != before.version


def test_another_label_column_is_read_afresh(storage, save, source, tmp_path):
    save({})
    files = grey_pngs(4)
    columns = {"other": [1, 1, 0, 0]}
    write_parquet(tmp_path / "train" / "a.parquet", files, [0, 1, 0, 1], columns=columns)
    write_parquet(tmp_path / "test.parquet", files, [0, 1, 0, 1], columns=columns)
    first = ingest(source, storage)["train"]
    other = parquet(source.train, source.test, label_column="other")
    second = ingest(other, storage)["train"]
    assert load_training_set(storage, first).labels.tolist() == [0, 1, 0, 1]
    assert load_training_set(storage, second).labels.tolist() == [1, 1, 0, 0]


def test_another_shard_size_for_a_known_dataset_is_refused(storage, source, save):
    save({"a": 9})
    ingest(source, storage)
    other = parquet(source.train, source.test, shard_rows=5)
    with pytest.raises(BadData, match=r"--shard-rows: expected 4, which this dataset was cut with"):
        survey_splits(other, storage)
    beside = parquet(source.train, source.test, shard_rows=5, name="beside")
    assert [shard.rows for shard in ingest(beside, storage)["train"].shards] == [5, 4]


def test_footers_are_read_in_parallel_and_only_once(storage, source, save, monkeypatch):
    save({name: 1 for name in "abcdefgh"})
    parquet_rows.footer.cache_clear()
    barrier, opened = threading.Barrier(8), []
    original = parquet_rows._open

    def wait(uri, path):
        opened.append(path)
        if "/train/" in path and len(opened) <= 8:
            barrier.wait(timeout=30)  # passes only once eight threads have arrived
        return original(uri, path)

    monkeypatch.setattr(parquet_rows, "_open", wait)
    assert len(source.pieces("train")) == 8
    source.pieces("train")
    assert len(opened) == 8


def test_assemble_needs_every_piece(storage, source, save):
    save({"a": 9})
    ingest(source, storage)
    lost = sorted(receipts(storage))[0]
    storage.write(f"datasets/mine/receipts/{lost}", b"{}")
    surveys = survey_splits(source, storage)
    (split,) = (split for split in surveys if surveys[split].missing)
    with pytest.raises(Damaged, match=f"{lost} as this job wrote it, got a damaged file or none"):
        assemble(surveys[split], (), 0.05)


def test_a_receipt_without_its_shard_counts_as_missing(storage, source, save):
    save({"a": 9})
    before = ingest(source, storage)
    lost, kept = before["train"].shards[1], before["train"].shards[0]
    storage.remove([lost.path("mine")])
    surveys = survey_splits(source, storage)
    assert missing(surveys) == ["train/a.parquet@4"]
    assert surveys["train"].shards[0].record == kept
    assert ingest(source, storage) == before
    assert storage.exists(lost.path("mine"))


def test_shards_are_looked_for_in_one_listing(storage, source, save, monkeypatch):
    save({"a": 9, "b": 9})
    ingest(source, storage)
    monkeypatch.setattr(Storage, "existing", lambda *_: pytest.fail("asked for each"))
    assert missing(survey_splits(source, storage)) == []
