import os
import shutil

import numpy as np
import pytest
from image_files import encode, pixels, write_folder
from ingest_here import ingest, missing, survey_splits

from scoring.data.image_folder import ImageFolderSource
from scoring.data.shard_parts import read_columns
from scoring.errors import BadData
from scoring.store.filesystems import filesystem
from scoring.store.storage import Storage


@pytest.fixture
def root(tmp_path):
    write_folder(tmp_path / "data", "train", {"cat": 6, "ant": 3, "bee": 5})
    write_folder(tmp_path / "data", "val", {"bee": 2, "cat": 2})
    return str(tmp_path / "data")


@pytest.fixture
def storage(tmp_path):
    return Storage(str(tmp_path / "store"))


def folder(root, **options):
    return ImageFolderSource(**{"name": "mine", "shard_rows": 4, **options}, data_root=root)


def names(storage, version):
    """Map the name of every row to (id, class)."""
    found = {}
    for record in version.shards:
        columns = read_columns(storage, "mine", record, ("example_id", "label", "name"))
        for row in columns.to_pylist():
            label = version.classes[row["label"]]
            assert found.setdefault(row["name"], (row["example_id"], label))[1] == label
    return found


def test_reads_class_folders_and_takes_val_for_test(root, storage):
    versions = ingest(folder(root), storage)
    assert versions["train"].classes == ("ant", "bee", "cat")
    assert [shard.rows for shard in versions["train"].shards] == [3, 4, 1, 4, 2]
    train = names(storage, versions["train"])
    assert train["ant/000.png"] == (0, "ant")
    assert train["cat/005.png"] == (13, "cat")
    assert len(train) == 14
    assert list(names(storage, versions["test"])) == [
        f"{label}/{row}.png" for label in ("bee", "cat") for row in ("000", "001")
    ]


def test_a_test_folder_takes_precedence_over_val(root, storage):
    write_folder(root, "test", {"ant": 1})
    assert list(names(storage, ingest(folder(root), storage)["test"])) == ["ant/000.png"]


def test_an_added_image_leaves_the_other_classes_alone(root, storage):
    before = names(storage, ingest(folder(root), storage)["train"])
    with open(os.path.join(root, "train", "bee", "005.png"), "wb") as file:
        file.write(encode(pixels(77)))
    assert missing(survey_splits(folder(root), storage)) == ["train/bee@4"]
    after = names(storage, ingest(folder(root), storage)["train"])
    assert set(after) - set(before) == {"bee/005.png"}
    moved = {name for name in before if before[name] != after[name]}
    assert moved == {"bee/004.png"}  # its piece grew in the middle: a new range at the end
    assert after["bee/004.png"] == (14, "bee")


def test_a_changed_image_costs_only_its_piece(root, storage):
    before = ingest(folder(root), storage)["train"]
    path = os.path.join(root, "train", "cat", "001.png")
    with open(path, "wb") as file:
        file.write(encode(pixels(77)))
    os.utime(path, (1, 1))
    assert missing(survey_splits(folder(root), storage)) == ["train/cat@0"]
    after = ingest(folder(root), storage)["train"]
    assert names(storage, after) == names(storage, before)
    same = [a.content == b.content for a, b in zip(before.shards, after.shards, strict=True)]
    assert same == [True, True, True, False, True]


def test_a_limit_takes_the_first_rows(root, storage):
    few = ingest(folder(root), storage, train=5, test=1)
    assert list(names(storage, few["train"])) == [
        *(f"ant/00{i}.png" for i in range(3)),
        *(f"bee/00{i}.png" for i in range(2)),
    ]
    assert few["train"].classes == ("ant", "bee", "cat")
    everything = names(storage, ingest(folder(root), storage)["train"])
    for name, place in names(storage, few["train"]).items():
        assert everything[name] == place


def test_other_files_and_folders_are_skipped(root, storage):
    for name in ("notes.txt", ".DS_Store", "._000.png", ".hidden.png", "png", "a.tar.gz"):
        with open(os.path.join(root, "train", "ant", name), "wb") as file:
            file.write(b"x")
    os.makedirs(os.path.join(root, "train", ".cache"))
    shutil.copy(
        os.path.join(root, "train", "ant", "000.png"), os.path.join(root, "train", ".cache")
    )
    with open(os.path.join(root, "train", "loose.png"), "wb") as file:
        file.write(encode(pixels(0)))
    os.makedirs(os.path.join(root, "train", "without images"))
    version = ingest(folder(root), storage)["train"]
    assert (version.rows, version.undecodable) == (14, 0)
    assert version.classes == ("ant", "bee", "cat")


def test_upper_case_suffixes_and_nested_folders_are_found(root, storage):
    os.makedirs(os.path.join(root, "train", "ant", "more"))
    with open(os.path.join(root, "train", "ant", "more", "A.JPEG"), "wb") as file:
        file.write(encode(pixels(0), "jpeg"))
    version = ingest(folder(root), storage)["train"]
    assert names(storage, version)["ant/more/A.JPEG"] == (3, "ant")


def test_links_are_followed(root, storage, tmp_path):
    write_folder(tmp_path / "elsewhere", "train", {"dog": 2})
    os.symlink(tmp_path / "elsewhere" / "train" / "dog", os.path.join(root, "train", "dog"))
    os.symlink(
        tmp_path / "elsewhere" / "train" / "dog" / "000.png",
        os.path.join(root, "train", "ant", "linked.png"),
    )
    version = ingest(folder(root), storage)["train"]
    assert version.classes == ("ant", "bee", "cat", "dog")
    assert {"dog/000.png", "dog/001.png", "ant/linked.png"} <= set(names(storage, version))


def test_images_that_change_between_survey_and_read_are_refused(root, storage):
    source = folder(root)
    (piece, *_) = source.pieces("train")
    os.remove(os.path.join(root, "train", "ant", "001.png"))
    with pytest.raises(BadData, match=r"--data-root: expected the train images of 'ant' to stay"):
        source.read("train", piece)
    shutil.rmtree(os.path.join(root, "train", "ant"))
    with pytest.raises(BadData, match=r"--data-root: expected the train images of 'ant' to stay"):
        source.read("train", piece)


def test_broken_images_are_kept_and_counted(root, storage):
    with open(os.path.join(root, "train", "ant", "001.png"), "wb") as file:
        file.write(b"this is not an image")
    version = ingest(folder(root), storage, max_corrupt=0.1)["train"]
    assert (version.rows, version.undecodable, version.trainable) == (14, 1, 13)
    with pytest.raises(
        BadData, match=r"--max-corrupt: .* 5 % undecodable .* 1 of 14 in mine train"
    ):
        ingest(folder(root), storage, max_corrupt=0.05)


def test_unusable_folders_are_refused(root, tmp_path, storage):
    with pytest.raises(BadData, match=r"--data-root: expected images in .*/nowhere/train/<class>/"):
        survey_splits(folder(str(tmp_path / "nowhere")), storage)
    write_folder(root, "val", {"dog": 1})
    with pytest.raises(BadData, match=r"--data-root: expected every test class .*train, got 'dog'"):
        survey_splits(folder(root), storage)
    shutil.rmtree(os.path.join(root, "val"))
    with pytest.raises(BadData, match=r"expected images in .*/data/test or val/<class>/, got none"):
        survey_splits(folder(root), storage)


def test_a_folder_of_unreadable_images_is_refused(tmp_path, storage):
    for split in ("train", "test"):
        (tmp_path / split / "ant").mkdir(parents=True)
        (tmp_path / split / "ant" / "a.png").write_text("this is not an image")
    with pytest.raises(BadData, match=r"--data-root .*: expected images that Pillow can read, got"):
        survey_splits(folder(str(tmp_path)), storage)


def test_images_of_several_sizes_need_image_size(root, storage):
    write_folder(root, "train", {"zebra": 2}, height=9)
    with pytest.raises(BadData, match=r"zebra row 0: expected images of 8x8 .* got one of 9x8"):
        ingest(folder(root), storage)
    version = ingest(folder(root, image_size="8"), storage)["train"]
    assert (version.rows, version.shape.dims) == (16, (8, 8, 1))


@pytest.mark.s3
def test_s3_gives_the_same_versions(root, s3_store, tmp_path):
    fs, base = filesystem(s3_store)
    fs.put(root, f"{base}/data", recursive=True)
    there, here = folder(f"{s3_store}/data"), folder(root)
    assert (there.local, here.local) == (False, True)
    storage = Storage(f"{s3_store}/store")
    remote, local = ingest(there, storage), ingest(here, Storage(str(tmp_path / "other")))
    assert remote["train"].version == local["train"].version
    assert remote["test"].version == local["test"].version
    assert missing(survey_splits(there, storage)) == []
    fs.pipe_file(f"{base}/data/train/bee/new.png", encode(pixels(5)))
    assert missing(survey_splits(there, storage)) == ["train/bee@4"]


def test_images_reach_the_training_set(root, storage):
    from scoring.data.versions import load_training_set

    version = ingest(folder(root), storage)["train"]
    data = load_training_set(storage, version)
    assert data.inputs.shape == (14, 8, 8, 1)
    assert np.bincount(data.labels).tolist() == [3, 5, 6]


@pytest.mark.parametrize("name", [b"cl\xff\xfe/a.png", b"ant/\xff.png"])
def test_names_in_another_encoding_are_refused(tmp_path, name):
    root = write_folder(tmp_path, "train", {"ant": 1})
    path = os.path.join(os.fsencode(root), b"train", name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(encode(pixels(0)))
    source = ImageFolderSource(name="x", data_root=root)
    with pytest.raises(BadData, match=r"--data-root: expected names in UTF-8, got '.*\\udcff"):
        source.pieces("train")
