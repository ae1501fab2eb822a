import hashlib
import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from image_files import encode, grey_pngs, pixels, write_parquet
from ingest_here import ingest, missing, parquet, survey_splits

from scoring.data.corrections import Correction
from scoring.data.forgotten import example_hash
from scoring.data.images import ImageShape, decode
from scoring.data.shard_columns import columns_of
from scoring.data.shard_parts import read_columns, read_files, read_images
from scoring.data.shards import read_shard
from scoring.data.sources import Layout, Piece, Rows
from scoring.data.write_shard import cut_shard, write_shard
from scoring.errors import BadData, Damaged
from scoring.store.keys import jsonable
from scoring.store.parquet import read_parquet
from scoring.store.parquet import write_parquet as write_sealed_parquet
from scoring.store.storage import Storage

LAYOUT = Layout(classes=("ant", "bee"), shape=ImageShape(height=8, width=8, channels=1))
PIECE = Piece(file="a.parquet", start=40, rows=3, fingerprint="")
ROWS = {"labels": [1, None, "ant"], "names": ["x", None, "z"]}


@pytest.fixture
def storage(store_uri):
    return Storage(store_uri)


@pytest.fixture
def local(tmp_path):
    return Storage(str(tmp_path / "store"))


def write(storage, first_id=7, layout=LAYOUT, **rows):
    rows = {**ROWS, "encoded": [*grey_pngs(2), b"text"], **rows}
    return write_shard(storage, "mine", layout, PIECE, Rows(**rows), first_id)


def test_a_shard_of_files_round_trips(storage):
    record = write(storage)
    assert (record.first_id, record.rows, record.undecodable, record.trainable) == (7, 3, 1, 1)
    shard = read_shard(storage, "mine", record, LAYOUT.shape)
    assert shard.ids.tolist() == [7, 8, 9]
    assert shard.labels.tolist() == [1, -1, 0]
    assert shard.decodable.tolist() == [True, True, False]
    assert np.array_equal(shard.inputs[1, ..., 0], pixels(1))
    assert not shard.inputs[2].any()
    columns = read_columns(storage, "mine", record, ("name", "label"))
    assert columns.to_pydict() == {"name": ["x", None, "z"], "label": [1, None, 0]}
    assert list(read_images(storage, "mine", record, LAYOUT.shape, np.array([8, 9]))) == [8]


def correction(row, **what):
    return Correction(
        split="train", example_id=7 + row, example=example_hash(grey_pngs(2)[row]), **what
    )


def test_corrected_labels_stand_in_a_shard_that_knows_the_given_ones(local):
    plain = write(local)
    corrections = (correction(0, label="ant"), correction(1, excluded=True))
    rows = Rows(**{**ROWS, "encoded": [*grey_pngs(2), b"text"]})
    record = write_shard(local, "mine", LAYOUT, PIECE, rows, 7, corrections)
    assert record.overlaid == ((7, 1, 0), (8, -1, -1))
    assert (record.as_given, record.trainable) == (plain.content, 1)
    assert record.content != plain.content
    assert read_shard(local, "mine", record, LAYOUT.shape).labels.tolist() == [0, -1, 0]
    assert jsonable(plain).keys() == {"content", "first_id", "rows", "undecodable", "trainable"}
    (left,) = cut_shard(local, "mine", record, LAYOUT.shape, [7])
    assert (left.overlaid, left.as_given) == (((8, -1, -1),), left.content)
    assert read_shard(local, "mine", left, LAYOUT.shape).labels.tolist() == [-1, 0]


def test_a_correction_to_the_given_label_or_of_other_bytes_changes_nothing(local):
    plain = write(local)
    others = (correction(0, label="bee"), replace(correction(0, label="ant"), example="other"))
    for given in others:
        rows = Rows(**{**ROWS, "encoded": [*grey_pngs(2), b"text"]})
        assert write_shard(local, "mine", LAYOUT, PIECE, rows, 7, (given,)) == plain


@pytest.mark.parametrize(
    ("images", "got"),
    [
        (np.zeros((3, 7, 5, 3), np.uint8), "7x5x3 uint8"),
        (np.zeros((3, 5, 7, 3), np.float32), "5x7x3 float32"),
    ],
)
def test_pixels_of_another_shape_are_refused(local, images, got):
    layout = Layout(classes=("ant", "bee"), shape=ImageShape(height=5, width=7, channels=3))
    with pytest.raises(
        BadData, match=f"a.parquet row 40: expected images of 5x7x3 uint8, got {got}"
    ):
        write(local, layout=layout, encoded=None, pixels=images)
    assert not local.names("datasets")


def test_a_shard_of_pixels_round_trips(storage):
    images = np.stack([pixels(i, 5, 7, 3) for i in range(3)])
    layout = Layout(classes=("ant", "bee"), shape=ImageShape(height=5, width=7, channels=3))
    record = write(storage, layout=layout, encoded=None, pixels=images)
    assert (record.undecodable, record.trainable) == (0, 2)
    shard = read_shard(storage, "mine", record, layout.shape)
    assert np.array_equal(shard.inputs, images)
    found = read_images(storage, "mine", record, layout.shape, np.array([9, 7, 100]))
    assert sorted(found) == [7, 9]
    assert np.array_equal(found[9], images[2])


CONTENTS = {
    "fewer rows": lambda table: table.slice(0, 2),
    "other ids": lambda table: table.set_column(0, table.field(0), pa.array([7, 9, 8])),
    "no labels": lambda table: table.drop_columns(["label"]),
    "names twice": lambda table: table.append_column("name", table["name"]),
    "labels as text": lambda table: table.set_column(1, "label", pa.array(["a", "b", "c"])),
    "half an image": lambda table: table.set_column(3, "image", pa.array([b"x"] * 3)),
    "no image": lambda table: table.set_column(3, "image", pa.nulls(3, pa.binary())),
    "no encoding": lambda table: table.replace_schema_metadata(None),
}


@pytest.mark.parametrize("change", CONTENTS)
def test_a_shard_with_other_contents_is_damaged(local, change):
    layout = Layout(classes=("ant", "bee"), shape=ImageShape(height=5, width=7, channels=3))
    images = np.zeros((3, 5, 7, 3), np.uint8)
    record = write(local, layout=layout, encoded=None, pixels=images)
    path = record.path("mine")
    table = CONTENTS[change](read_parquet(local, path, columns_of(layout.shape)))
    write_sealed_parquet(local, path, table)
    with pytest.raises(Damaged, match=rf"^--store: expected {path} as it was written"):
        read_shard(local, "mine", record, layout.shape)


def test_files_are_read_back_unchanged(storage):
    (table,) = read_files(storage, "mine", write(storage), LAYOUT.shape)
    assert table["image"].to_pylist() == [*grey_pngs(2), b"text"]
    assert table["example_id"].to_pylist() == [7, 8, 9]


def test_pixels_are_read_back_as_files_one_row_group_at_a_time(local):
    images = np.stack([pixels(i)[..., None] for i in range(600)])
    rows = {"labels": [None] * 600, "names": [None] * 600, "encoded": None, "pixels": images}
    tables = list(read_files(local, "mine", write(local, first_id=7, **rows), LAYOUT.shape))
    assert [len(table) for table in tables] == [250, 250, 100]
    files = [data for table in tables for data in table["image"].to_pylist()]
    assert np.array_equal(np.stack([decode(data, LAYOUT.shape) for data in files]), images)


def test_reading_a_few_images_or_columns_reads_few_bytes(local, monkeypatch):
    """Reading the names and labels of ImageNet must not mean reading all of ImageNet."""
    rows, side = 1000, 64
    images = np.stack([pixels(i, side, side) for i in range(rows)])[..., None]
    layout = Layout(classes=("ant",), shape=ImageShape(height=side, width=side, channels=1))
    piece = Piece(file="a", start=0, rows=rows, fingerprint="")
    labels, names = [0] * rows, [str(i) for i in range(rows)]
    given = Rows(labels=labels, names=names, pixels=images)
    record = write_shard(local, "mine", layout, piece, given, 5000)

    read = 0
    original_open = Storage.open

    def count(self, path):
        file = original_open(self, path)
        original_read = file.read

        def counted(*size):
            nonlocal read
            data = original_read(*size)
            read += len(data)
            return data

        file.read = counted
        return file

    monkeypatch.setattr(Storage, "open", count)
    found = read_images(local, "mine", record, layout.shape, np.array([5003, 5999, 6000, 4999]))
    assert sorted(found) == [5003, 5999]
    assert np.array_equal(found[5999], images[999])
    assert images.nbytes / 4 < read < images.nbytes * 0.6  # two of four row groups
    read = 0
    table = read_columns(local, "mine", record, ("example_id", "label", "name"))
    assert table["name"].to_pylist() == names
    assert 0 < read < images.nbytes / 50


CHANGES = {
    "an example id": {"first_id": 8},
    "a label": {"labels": [0, None, "ant"]},
    "a label that became unknown": {"labels": [None, None, "ant"]},
    "a name": {"names": ["y", None, "z"]},
    "a name that was removed": {"names": [None, None, "z"]},
    "one byte": {"encoded": [*grey_pngs(2), b"texT"]},
    "where one image ends": {"encoded": [grey_pngs(1)[0] + b"t", grey_pngs(2)[1], b"ext"]},
    "the order": {"encoded": [*grey_pngs(2)[::-1], b"text"]},
    "the shape": {
        "layout": Layout(
            classes=("ant", "bee"), shape=ImageShape(height=8, width=8, channels=1, resize=True)
        )
    },
}


def test_the_content_hash_covers_everything_in_a_shard(local):
    contents = {name: write(local, **change).content for name, change in CHANGES.items()}
    contents["nothing"] = write(local).content
    assert len(set(contents.values())) == len(CHANGES) + 1
    assert write(local).content == contents["nothing"]
    by_name = write(local, labels=["bee", None, 0])
    assert by_name.content == contents["nothing"]


def test_the_content_hash_is_the_same_in_every_release(local):
    """Spelled out here, because another hash would invalidate every published table."""
    record = write(local, encoded=[b"a", None, b""])
    examples = hashlib.sha256(b"\1" + b"\0" * 7 + b"a" + b"\0" * 16).hexdigest()
    shape = {"channels": 1, "height": 8, "resize": False, "to_grey": False, "width": 8}
    hashed = [7, [1, -1, 0], ["x", None, "z"], "file", shape, examples]
    text = json.dumps(hashed, sort_keys=True, separators=(",", ":"))
    assert record.content == hashlib.sha256(text.encode()).hexdigest()[:32]


def test_an_existing_shard_is_not_written_again(local, monkeypatch):
    record = write(local)
    monkeypatch.setattr(Storage, "write", lambda *_: pytest.fail("wrote again"))
    assert write(local) == record


@pytest.mark.parametrize("label", [2, -1, "cat", "1"])
def test_an_unknown_label_is_reported_with_its_row(local, label):
    with pytest.raises(
        BadData, match=r"a.parquet row 42: expected a label among .* 2 classes, got"
    ):
        write(local, labels=[0, 1, label])
    assert local.names("") == set()


def test_an_image_of_another_size_is_reported_with_its_row(local):
    files = [*grey_pngs(2), encode(pixels(0, 8, 9))]
    with pytest.raises(BadData, match=r"a.parquet row 42: expected images of 8x8 .* --image-size"):
        write(local, encoded=files)
    assert local.names("") == set()


WRITERS = {
    "small groups": {"row_group_size": 2},
    "zstd": {"compression": "zstd"},
    "none": {"compression": "none"},
    "no dictionaries": {"use_dictionary": False},
    "version 1": {"version": "1.0", "data_page_version": "1.0"},
    "other types": {"label_type": "int8", "image_type": "large_binary"},
}


@pytest.mark.parametrize("writer", WRITERS)
def test_the_version_does_not_depend_on_how_a_file_was_written(tmp_path, local, writer):
    def save(**options):
        for split, rows in (("train", 9), ("test", 3)):
            files, labels = grey_pngs(rows), [i % 2 for i in range(rows)]
            write_parquet(tmp_path / f"{split}.parquet", files, labels, **options)

    source = parquet(str(tmp_path / "train.parquet"), str(tmp_path / "test.parquet"))
    save()
    before = ingest(source, local)
    files = local.names("datasets/mine/shards")
    save(**WRITERS[writer])
    assert (
        len(missing(survey_splits(source, local))) == 4
    )  # the bytes may have changed, so they are read
    after = ingest(source, local)
    assert {s: v.version for s, v in after.items()} == {s: v.version for s, v in before.items()}
    assert local.names("datasets/mine/shards") == files


def test_shards_are_plain_parquet(local):
    record = write(local)
    table = pq.read_table(f"{local.uri}/{record.path('mine')}")
    assert table.column_names == ["example_id", "label", "name", "image"]
    assert table["image"].to_pylist() == [*grey_pngs(2), b"text"]
