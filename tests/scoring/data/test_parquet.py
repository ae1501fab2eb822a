import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from image_files import encode, grey_pngs, pixels, write_parquet
from ingest_here import ingest, missing, parquet, survey_splits

from scoring.data.images import ImageShape
from scoring.data.shard_parts import read_columns
from scoring.data.shards import read_shard
from scoring.data.versions import load_version
from scoring.errors import BadData
from scoring.store.filesystems import filesystem
from scoring.store.storage import Storage


@pytest.fixture
def storage(tmp_path):
    return Storage(str(tmp_path / "store"))


@pytest.fixture
def make(tmp_path):
    """Write a file below the test's folder, given its name, images and labels."""
    return lambda name, *columns, **options: write_parquet(tmp_path / name, *columns, **options)


@pytest.fixture
def small_test(make):
    return make("test.parquet", grey_pngs(3, first=100), [0, 1, 0])


def rows(storage, version):
    """Return (id, label, name) of every row."""
    tables = [
        read_columns(storage, version.name, record, ("example_id", "label", "name"))
        for record in version.shards
    ]
    return [tuple(row.values()) for table in tables for row in table.to_pylist()]


def images(storage, version):
    shards = [read_shard(storage, version.name, r, version.shape) for r in version.shards]
    return np.concatenate([shard.inputs for shard in shards])


def test_images_labels_and_names_are_ingested(storage, make, small_test):
    train = make("train.parquet", grey_pngs(6), [0, 1, 2, None, 1, 0])
    versions = ingest(parquet(train, small_test), storage)
    assert versions["train"].classes == ("0", "1", "2")
    assert rows(storage, versions["train"]) == [
        (i, label, f"train.parquet:{i}") for i, label in enumerate([0, 1, 2, None, 1, 0])
    ]
    assert [shard.rows for shard in versions["train"].shards] == [4, 2]
    assert (versions["train"].rows, versions["train"].trainable) == (6, 5)
    expected = np.stack([pixels(i) for i in range(6)])[..., None]
    assert np.array_equal(images(storage, versions["train"]), expected)
    assert rows(storage, versions["test"])[0] == (0, 0, "test.parquet:0")


def test_a_column_that_is_there_twice_is_refused(tmp_path, storage, small_test):
    columns = [pa.array(grey_pngs(1)), pa.array([0]), pa.array([1])]
    pq.write_table(pa.table(columns, ["image", "label", "label"]), tmp_path / "train.parquet")
    train = str(tmp_path / "train.parquet")
    with pytest.raises(BadData, match=r"^--label-column: expected one column 'label' in .*several"):
        ingest(parquet(train, small_test), storage)


@pytest.mark.parametrize(
    "image_type",
    [
        pa.binary(),
        pa.large_binary(),
        pa.binary_view(),
        pa.dictionary(pa.int32(), pa.binary()),
        pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    ],
    ids=str,
)
def test_images_in_columns_of_every_type(storage, make, small_test, image_type):
    files = grey_pngs(5)
    if pa.types.is_struct(image_type):
        files = [{"bytes": data, "path": f"{i}.png"} for i, data in enumerate(files)]
    elif pa.types.is_dictionary(image_type):
        files, image_type = pa.array(files).dictionary_encode(), None
    train = make("train.parquet", files, [0, 1, 0, 1, 0], image_type)
    version = ingest(parquet(train, small_test), storage)["train"]
    assert np.array_equal(images(storage, version)[4, ..., 0], pixels(4))
    assert version.undecodable == 0


@pytest.mark.parametrize(
    ("labels", "label_type", "classes"),
    [
        ([1, 0, 3], pa.int8(), ("0", "1", "2", "3")),
        ([1, 0, 3], pa.uint64(), ("0", "1", "2", "3")),
        ([True, False, None], pa.bool_(), ("0", "1")),
        (["dog", "cat", None], pa.string(), ("cat", "dog")),
        (["dog", "cat", "dog"], pa.large_string(), ("cat", "dog")),
        (["dog", "cat", "dog"], pa.dictionary(pa.int8(), pa.string()), ("cat", "dog")),
    ],
    ids=str,
)
def test_labels_in_columns_of_every_type(storage, make, labels, label_type, classes):
    train = make("train.parquet", grey_pngs(3), labels, None, label_type)
    versions = ingest(parquet(train, train), storage)
    assert versions["train"].classes == classes
    got = [label for _, label, _ in rows(storage, versions["train"])]
    expected = [None if v is None else classes.index(str(v if isinstance(v, str) else int(v)))
                for v in labels]  # fmt: skip
    assert got == expected


def test_classes_can_be_named(storage, make, small_test):
    train = make("train.parquet", grey_pngs(3), [1, 0, 1])
    source = parquet(train, small_test, class_names=("cat", "dog", "eel"))
    assert ingest(source, storage)["train"].classes == ("cat", "dog", "eel")
    source = parquet(train, small_test, class_names=("cat",))
    with pytest.raises(BadData, match=r"--class-names: expected a name .* got 1 names .* label 1$"):
        survey_splits(source, storage)


@pytest.mark.parametrize(
    ("ids", "names"),
    [
        (["a-1", "b-2", None, "a-1"], ["a-1", "b-2", None, "a-1"]),
        (pa.array([7, 8, 9, 10]), ["7", "8", "9", "10"]),
        (pa.array(["x", "y", "x", "y"]).dictionary_encode(), ["x", "y", "x", "y"]),
    ],
    ids=["text", "integer", "dictionary"],
)
def test_an_id_column_gives_the_names(storage, make, small_test, ids, names):
    train = make("train.parquet", grey_pngs(4), [0, 1, 0, 1], columns={"key": ids})
    test = make("test.parquet", grey_pngs(4), [0, 1, 0, 1], columns={"key": ids})
    version = ingest(parquet(train, test, id_column="key"), storage)["train"]
    assert [name for _, _, name in rows(storage, version)] == names
    other = ingest(parquet(train, test), storage)["train"]
    assert rows(storage, other)[0] == (0, 0, "train.parquet:0")
    assert other.version != version.version


def test_the_id_column_may_be_the_label_column(storage, make):
    train = make("train.parquet", grey_pngs(2), ["cat", "dog"])
    version = ingest(parquet(train, train, id_column="label"), storage)["train"]
    assert rows(storage, version) == [(0, 0, "cat"), (1, 1, "dog")]


def test_a_folder_and_a_glob_give_the_same_version(storage, make, tmp_path, small_test):
    for i, name in enumerate(("b", "a", "c")):
        make(f"train/{name}.parquet", grey_pngs(5, first=10 * i), [i] * 5)
    folder = ingest(parquet(str(tmp_path / "train"), small_test), storage)["train"]
    names = [name for _, _, name in rows(storage, folder)]
    assert names == [f"{name}.parquet:{i}" for name in "abc" for i in range(5)]
    assert [label for _, label, _ in rows(storage, folder)] == [1] * 5 + [0] * 5 + [2] * 5
    other = Storage(str(tmp_path / "other"))
    glob = ingest(parquet(str(tmp_path / "train" / "*.parquet"), small_test), other)["train"]
    assert glob.version == folder.version


def test_files_of_the_same_name_in_several_folders(storage, make, tmp_path, small_test):
    for day in ("1", "2"):
        make(f"day={day}/rows.parquet", grey_pngs(2, first=int(day)), [0, 1])
    source = parquet(str(tmp_path / "day=*" / "*.parquet"), small_test)
    names = [name for _, _, name in rows(storage, ingest(source, storage)["train"])]
    assert names == [f"day={day}/rows.parquet:{row}" for day in "12" for row in (0, 1)]


@pytest.mark.parametrize("group", [1, 3, 5, 100])
def test_row_groups_may_cross_pieces(storage, make, small_test, group):
    train = make("train.parquet", grey_pngs(11), list(range(11)), row_group_size=group)
    version = ingest(parquet(train, small_test), storage)["train"]
    assert [label for _, label, _ in rows(storage, version)] == list(range(11))
    expected = np.stack([pixels(i) for i in range(11)])[..., None]
    assert np.array_equal(images(storage, version), expected)


def test_a_limit_takes_the_first_rows_and_changes_no_ids(storage, make, tmp_path, small_test):
    for name in "abc":
        make(f"train/{name}.parquet", grey_pngs(6, first=ord(name)), [0, 1] * 3)
    source = parquet(str(tmp_path / "train"), small_test)
    few = ingest(source, storage, train=9, test=2)
    everything = ingest(source, storage)
    assert (few["train"].rows, few["test"].rows) == (9, 2)
    assert rows(storage, few["train"]) == rows(storage, everything["train"])[:9]
    assert few["train"].ranges == everything["train"].ranges
    assert survey_splits(source, storage, train=1000)["train"].rows == 18


def test_grey_and_colour_together_become_colour(storage, make, small_test):
    files = [*grey_pngs(2), encode(pixels(9, channels=3))]
    version = ingest(parquet(make("train.parquet", files, [0, 1, 0]), small_test), storage)["train"]
    assert version.shape.dims == (8, 8, 3)
    got = images(storage, version)
    assert np.array_equal(got[0], np.repeat(pixels(0)[..., None], 3, axis=2))
    assert np.array_equal(got[2], pixels(9, channels=3))


def test_colour_after_a_hundred_grey_images_needs_channels(storage, make, small_test):
    files = [*grey_pngs(100), encode(pixels(9, channels=3))]
    train = make("train.parquet", files, [0, 1] * 50 + [0])
    with pytest.raises(BadData, match=r"train.parquet row 100: expected grey .* --channels 3"):
        ingest(parquet(train, small_test), storage)
    assert ingest(parquet(train, small_test, channels="3"), storage)["train"].shape.channels == 3
    assert ingest(parquet(train, small_test, channels="1"), storage)["train"].undecodable == 0


def test_unequal_sizes_are_reported_with_row_and_flag(storage, make, small_test):
    files = [*grey_pngs(5), encode(pixels(5, 9, 7))]
    train = make("train.parquet", files, [0, 1] * 3)
    with pytest.raises(BadData, match=r"train.parquet row 5: .* 8x8 .* 9x7; pass --image-size"):
        ingest(parquet(train, small_test), storage)
    version = ingest(parquet(train, small_test, image_size="6x5"), storage)["train"]
    assert version.shape == ImageShape(height=6, width=5, channels=1, resize=True)
    assert images(storage, version).shape == (6, 6, 5, 1)


FORMATS = [("png", {}), ("jpeg", {}), ("webp", {"lossless": True}), ("bmp", {}), ("tiff", {})]


def test_formats_may_be_mixed(storage, make, small_test):
    files = [encode(pixels(0, channels=3), kind, **options) for kind, options in FORMATS]
    version = ingest(parquet(make("train.parquet", files, [0, 1, 1, 0, 1]), small_test), storage)[
        "train"
    ]
    assert version.undecodable == 0
    got = images(storage, version)
    for i in (0, 2, 3, 4):
        assert np.array_equal(got[i], pixels(0, channels=3))


def bad_tables():
    files = grey_pngs(2)
    yield "no label", {"label_column": "y"}, {}, r"--label-column: .*\(image, label\), got 'y'"
    yield "no image", {"image_column": "x"}, {}, r"--image-column: .*\(image, label\), got 'x'"
    yield "no id", {"id_column": "k"}, {}, r"--id-column: .*\(image, label\), got 'k'"
    yield "image is text", {}, {"images": ["a", "b"]}, "--image-column: .* 'image' of type string"
    yield "image is a list", {}, {"images": [[1], [2]]}, "--image-column: .* of type list"
    yield "image is null", {}, {"images": pa.nulls(2)}, "--image-column: .* of type null"
    paths = [{"path": "a"}, {"path": "b"}]
    yield "no bytes", {}, {"images": paths}, "--image-column: .* of type struct"
    yield "no image decodes", {}, {"images": [b"text", b""]}, "--image-column image: .*got none"
    yield "float label", {}, {"labels": [0.0, 1.0]}, "--label-column: .* 'label' of type double"
    yield "negative label", {}, {"labels": [0, -1]}, "--label-column: .* from 0, got -1"
    yield "an id as label", {}, {"labels": [0, 10**9]}, "at most 100,000 classes, got 1,000,000,001"
    yield (
        "no labels",
        {},
        {"labels": [None, None]},
        "--label-column: expected labels in .* got none",
    )
    yield "no rows", {}, {"images": [], "labels": []}, "--train: expected rows in .*, got none"
    del files


@pytest.mark.parametrize(
    ("options", "columns", "message"),
    [case[1:] for case in bad_tables()],
    ids=[case[0] for case in bad_tables()],
)
def test_unusable_tables_are_refused(storage, make, small_test, options, columns, message):
    given = {"images": grey_pngs(2), "labels": [0, 1], **columns}
    empty = pa.binary() if given["images"] == [] else None
    train = make("train.parquet", given["images"], given["labels"], empty)
    with pytest.raises(BadData, match=message) as error:
        survey_splits(parquet(train, small_test, **options), storage)
    assert "\n" not in str(error.value)
    assert storage.names("") == set()


def test_a_column_missing_from_the_test_file_alone_is_refused(storage, make):
    train = make("train.parquet", grey_pngs(2), [0, 1], columns={"key": ["a", "b"]})
    test = make("test.parquet", grey_pngs(2), [0, 1])
    with pytest.raises(BadData, match=r"--id-column: expected a column of '.*test.parquet'"):
        survey_splits(parquet(train, test, id_column="key"), storage)


@pytest.mark.parametrize(
    ("label", "message"),
    [(2, "got '2'"), (-1, "got '-1'"), ("dog", "got 'dog'")],
)
def test_test_labels_unknown_in_training_are_refused(storage, make, label, message):
    train = make("train.parquet", grey_pngs(2), [0, 1])
    values = [None] * 5 + [label]
    test = make("test.parquet", grey_pngs(6), values)
    where = r"test.parquet row 5: expected a label among the training split's 2 classes, "
    with pytest.raises(BadData, match=where + message):
        ingest(parquet(train, test), storage)


def test_a_number_is_not_an_index_into_class_names(storage, make):
    """Sorting names does not number them: in the test file, 1 may mean another class."""
    train = make("train.parquet", grey_pngs(2), ["dog", "cat"])
    test = make("test.parquet", grey_pngs(2), [0, 1])
    with pytest.raises(BadData, match=r"test.parquet row 0: expected a label among .* got '0'"):
        ingest(parquet(train, test), storage)


def test_an_empty_file_among_others_is_skipped(storage, make, tmp_path, small_test):
    make("train/a.parquet", [], [], pa.binary(), pa.int64())
    make("train/b.parquet", grey_pngs(2), [0, 1])
    version = ingest(parquet(str(tmp_path / "train"), small_test), storage)["train"]
    assert [name for _, _, name in rows(storage, version)] == ["b.parquet:0", "b.parquet:1"]


@pytest.mark.s3
def test_source_and_store_on_s3(s3_store, tmp_path):
    """Training data in a bucket, test data on disk: each split is read where it lies."""
    fs, root = filesystem(s3_store)
    for i, name in enumerate("ab"):
        local = write_parquet(tmp_path / f"{name}.parquet", grey_pngs(6, first=10 * i), [0, 1] * 3)
        fs.put_file(local, f"{root}/data/{name}.parquet")
    test = write_parquet(tmp_path / "test.parquet", grey_pngs(3), [0, 1, 0])
    source, storage = parquet(f"{s3_store}/data", test), Storage(f"{s3_store}/store")
    assert source.local
    assert not parquet(f"{s3_store}/data", f"{s3_store}/data").local
    version = ingest(source, storage)["train"]
    expected = np.stack([pixels(i) for i in [*range(6), *range(10, 16)]])[..., None]
    assert np.array_equal(images(storage, version), expected)
    assert missing(survey_splits(source, storage)) == []
    fs.put_file(str(tmp_path / "test.parquet"), f"{root}/data/c.parquet")
    assert missing(survey_splits(source, storage)) == ["train/c.parquet@0"]


def test_real_colour_images_are_ingested(storage, data_root):
    files = {split: str(data_root / f"cifar10_{split}.parquet") for split in ("train", "test")}
    source = parquet(**files, id_column="file", shard_rows=150)
    versions = ingest(source, storage, train=300, test=200)
    assert versions["train"].shape.dims == (32, 32, 3)
    assert versions["train"].classes == tuple("0123456789")
    assert rows(storage, versions["train"])[0] == (0, 6, "leptodactylus_pentadactylus_s_000004.png")
    assert images(storage, versions["train"])[0, 0, 0].tolist() == [59, 62, 63]
    assert versions["train"].undecodable == versions["test"].undecodable == 0


def test_real_jpegs_may_be_partly_grey(storage, data_root):
    file = str(data_root / "tiny_imagenet_50.parquet")
    versions = ingest(parquet(file, file, shard_rows=200, id_column="file"), storage, 400, 10)
    assert versions["train"].shape.dims == (64, 64, 3)
    assert len(versions["train"].classes) == 50
    assert (versions["train"].rows, versions["train"].undecodable) == (400, 0)


def test_real_images_of_many_sizes_need_image_size(storage, data_root):
    file = str(data_root / "imagenet_sample_1000.parquet")
    with pytest.raises(BadData, match=r"imagenet_sample_1000.parquet row \d+: .*--image-size"):
        ingest(parquet(file, file, shard_rows=50), storage, 100, 10)
    source = parquet(file, file, shard_rows=50, image_size="32")
    version = ingest(source, storage, 100, 10)["train"]
    assert (version.shape.dims, len(version.classes)) == ((32, 32, 3), 1000)
    assert images(storage, version).std() > 40  # pictures, not blanks


def test_an_image_with_too_many_pixels_costs_its_own_row(storage, make, small_test):
    files = [*grey_pngs(3), encode(pixels(3, 40, 40))]
    train = make("train.parquet", files, [0, 1, 0, 1])
    versions = {
        most: ingest(
            parquet(train, small_test, image_size="8", max_pixels=most), storage, max_corrupt=0.5
        )["train"]
        for most in (1600, 1599)
    }
    assert [version.undecodable for version in versions.values()] == [0, 1]
    assert versions[1600].version != versions[1599].version  # other rows have scores
    for version in versions.values():
        loaded = load_version(storage, "mine", "train", version.version)
        (shard,) = (read_shard(storage, "mine", r, loaded.shape) for r in loaded.shards)
        assert int((~shard.decodable).sum()) == version.undecodable
