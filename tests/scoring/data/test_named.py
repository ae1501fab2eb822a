import gzip
import hashlib
import pickle
import shutil
import struct

import numpy as np
import pytest
from ingest_here import ingest, missing, survey_splits

from scoring.data import named
from scoring.data.named import NamedSource
from scoring.data.shards import read_shard
from scoring.errors import BadData, UnknownName
from scoring.store.storage import Storage

NAMES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


@pytest.fixture(autouse=True)
def forget():
    """Named datasets are read once per process, but here every test has its own files."""
    named._load.cache_clear()


def idx(array):
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_mnist(folder, rows=7, packed=True, labels=None):
    """Write MNIST's four files with random contents; return the training images and labels."""
    random = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for image_name, label_name in NAMES.values():
        images = random.integers(0, 256, (rows, 28, 28), dtype=np.uint8)
        known = random.integers(0, 10, rows, dtype=np.uint8) if labels is None else labels
        for name, array in ((image_name, images), (label_name, known)):
            data = gzip.compress(idx(array)) if packed else idx(array)
            (folder / f"{name}{'.gz' if packed else ''}").write_bytes(data)
        if image_name.startswith("train"):
            train = images, known
    return train


def test_digits_need_no_files(tmp_path):
    storage = Storage(str(tmp_path))
    versions = ingest(NamedSource(name="digits", shard_rows=500), storage)
    assert (versions["train"].rows, versions["test"].rows) == (1437, 360)
    assert versions["train"].classes == tuple("0123456789")
    assert versions["train"].shape.dims == (8, 8, 1)
    shard = read_shard(storage, "digits", versions["test"].shards[0], versions["test"].shape)
    assert shard.inputs.max() == 255
    assert np.bincount(shard.labels).min() > 30
    assert missing(survey_splits(NamedSource(name="digits", shard_rows=500), storage)) == []


@pytest.mark.parametrize(
    ("name", "class_name", "first", "checksum"),
    [
        ("mnist", "MNIST", [5, 0, 4, 1, 9], "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        ("fashion_mnist", "FashionMNIST", [9, 0, 0, 3, 0], "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
    ],
)
def test_gzipped_files_are_read_from_a_read_only_folder(
    data_root, tmp_path, name, class_name, first, checksum
):
    root = tmp_path / "data" / class_name / "raw"
    root.mkdir(parents=True)
    for image_name, label_name in NAMES.values():
        for file in (image_name, label_name):
            shutil.copy(data_root / class_name / "raw" / f"{file}.gz", root)
    packed = (root / f"{NAMES['train'][0]}.gz").read_bytes()
    assert (
        hashlib.md5(packed).hexdigest() == checksum
    )  # the original file, by torchvision's checksum
    root.chmod(0o555)
    source = NamedSource(name=name, data_root=str(tmp_path / "data"))
    pieces = source.pieces("train")
    assert sum(piece.rows for piece in pieces) == 60_000
    assert sum(piece.rows for piece in source.pieces("test")) == 10_000
    rows = source.read("train", pieces[0])
    assert rows.labels[:5] == first
    assert rows.pixels.shape == (2000, 28, 28, 1)
    assert rows.names[:2] == ["train/0", "train/1"]
    assert sorted(path.name for path in root.iterdir()) == sorted(
        f"{file}.gz" for pair in NAMES.values() for file in pair
    )


def test_class_names_match_torchvision():
    from torchvision import datasets

    assert list(named._MNIST_CLASSES) == datasets.MNIST.classes
    assert list(named._FASHION_CLASSES) == datasets.FashionMNIST.classes


@pytest.mark.parametrize("folder", ["MNIST/raw", "raw", "."])
@pytest.mark.parametrize("packed", [True, False], ids=["packed", "unpacked"])
def test_files_are_found_in_any_usual_folder(tmp_path, folder, packed):
    images, labels = write_mnist(tmp_path / "data" / folder, packed=packed)
    source = NamedSource(name="mnist", data_root=str(tmp_path / "data"), shard_rows=4)
    first, second = source.pieces("train")
    assert (first.rows, second.rows) == (4, 3)
    rows = source.read("train", second)
    assert np.array_equal(rows.pixels, images[4:, ..., None])
    assert rows.labels == labels[4:].tolist()


def test_different_files_under_the_same_name_are_read_again(tmp_path):
    """KMNIST, for example, has MNIST's file names and row counts."""
    storage = Storage(str(tmp_path / "store"))
    images, _ = write_mnist(tmp_path / "MNIST" / "raw")
    source = NamedSource(name="mnist", data_root=str(tmp_path), shard_rows=4)
    before = ingest(source, storage)
    path = tmp_path / "MNIST" / "raw" / f"{NAMES['train'][0]}.gz"
    path.write_bytes(gzip.compress(idx(images[::-1].copy())))
    named._load.cache_clear()
    assert missing(survey_splits(source, storage)) == ["train/mnist@0", "train/mnist@4"]
    after = ingest(source, storage)
    assert after["train"].version != before["train"].version
    assert after["test"].version == before["test"].version


def test_a_dataset_can_have_a_custom_name(tmp_path):
    source = NamedSource(name="mine", dataset="digits")
    version = ingest(source, Storage(str(tmp_path)), train=20, test=10)["train"]
    assert (version.name, version.rows) == ("mine", 20)


def damage(folder, how):
    name = NAMES["train"][0]
    match how:
        case "missing":
            (folder / f"{name}.gz").unlink()
        case "not gzip":
            (folder / f"{name}.gz").write_bytes(b"text")
        case "cut short":
            data = (folder / f"{name}.gz").read_bytes()
            (folder / f"{name}.gz").write_bytes(data[:-2000])
        case "damaged":
            data = bytearray((folder / f"{name}.gz").read_bytes())
            data[500:600] = bytes(100)
            (folder / f"{name}.gz").write_bytes(data)
        case "not idx":
            (folder / f"{name}.gz").write_bytes(gzip.compress(b"text"))
        case "empty":
            (folder / f"{name}.gz").write_bytes(gzip.compress(b""))
        case "fewer rows than its header says":
            data = gzip.decompress((folder / f"{name}.gz").read_bytes())
            (folder / f"{name}.gz").write_bytes(gzip.compress(data[:-1]))
        case "labels for images":
            shutil.copy(folder / f"{NAMES['train'][1]}.gz", folder / f"{name}.gz")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing", r"expected MNIST/raw/train-images-idx3-ubyte\[.gz\], got none in"),
        ("not gzip", r"cannot read '.*gz' \(Not a gzipped file"),
        ("cut short", r"cannot read '.*gz' \(Compressed file ended"),
        ("damaged", r"cannot read '.*gz' \("),
        ("not idx", r"expected a complete idx file of unsigned bytes, got"),
        ("empty", r"expected a complete idx file of unsigned bytes, got"),
        ("fewer rows than its header says", r"expected a complete idx file of unsigned bytes, got"),
        ("labels for images", r"expected 7 images and as many labels below 10, got"),
    ],
)
def test_damaged_files_are_reported_in_one_line(tmp_path, how, message):
    write_mnist(tmp_path / "MNIST" / "raw")
    damage(tmp_path / "MNIST" / "raw", how)
    source = NamedSource(name="mnist", data_root=str(tmp_path))
    with pytest.raises(BadData, match=f"--data-root: {message}") as error:
        source.pieces("train")
    assert "\n" not in str(error.value)


def test_labels_out_of_range_are_refused(tmp_path):
    write_mnist(tmp_path / "raw", labels=np.arange(7, dtype=np.uint8) + 5)
    with pytest.raises(BadData, match=r"as many labels below 10"):
        NamedSource(name="mnist", data_root=str(tmp_path)).pieces("train")


def test_unusable_names_and_folders_are_refused(tmp_path):
    with pytest.raises(UnknownName, match=r"--dataset: expected one of cifar10, .*got 'nosuch'"):
        NamedSource(name="nosuch")
    with pytest.raises(BadData, match=r"--data-root: expected the folder that holds mnist, got no"):
        NamedSource(name="mnist")
    with pytest.raises(BadData, match=r"--data-root: expected a folder, got '.*nowhere'"):
        NamedSource(name="mnist", data_root=str(tmp_path / "nowhere"))
    with pytest.raises(BadData, match=r"--data-root: expected cifar-10-batches-py/ with CIFAR10's"):
        NamedSource(name="cifar10", data_root=str(tmp_path)).pieces("train")


@pytest.mark.parametrize(
    ("name", "class_name", "label_key", "names_key"),
    [
        ("cifar10", "CIFAR10", "labels", "label_names"),
        ("cifar100", "CIFAR100", "fine_labels", "fine_label_names"),
    ],
)
def test_cifar_in_its_original_format(
    tmp_path, monkeypatch, name, class_name, label_key, names_key
):
    from torchvision import datasets

    known = getattr(datasets, class_name)
    folder = tmp_path / known.base_folder
    folder.mkdir()
    random = np.random.default_rng(0)

    def write(file, content):
        data = pickle.dumps(content)
        (folder / file).write_bytes(data)
        return [file, hashlib.md5(data).hexdigest()]

    def batch(file, rows):
        data = random.integers(0, 256, (rows, 3072), dtype=np.uint8)
        labels = random.integers(0, 3, rows).tolist()
        return data, labels, write(file, {"data": data, label_key: labels})

    data, labels, first = batch("data_batch_1", 5)
    meta, checksum = write("batches.meta", {names_key: ["ant", "bee", "cat"]})
    monkeypatch.setattr(known, "train_list", [first, batch("data_batch_2", 4)[2]])
    monkeypatch.setattr(known, "test_list", [batch("test_batch", 3)[2]])
    monkeypatch.setattr(known, "meta", {"filename": meta, "key": names_key, "md5": checksum})

    source = NamedSource(name=name, data_root=str(tmp_path))
    layout = source.layout()
    assert (layout.classes, layout.shape.dims) == (("ant", "bee", "cat"), (32, 32, 3))
    (piece,) = source.pieces("train")
    rows = source.read("train", piece)
    assert (piece.rows, source.pieces("test")[0].rows) == (9, 3)
    assert np.array_equal(rows.pixels[:5], data.reshape(5, 3, 32, 32).transpose(0, 2, 3, 1))
    assert rows.labels[:5] == labels

    (folder / "test_batch").write_bytes(b"not what the checksum says")
    named._load.cache_clear()
    with pytest.raises(BadData, match=f"{class_name}'s python batches, got none or damaged ones"):
        source.pieces("train")
