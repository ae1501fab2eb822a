"""Datasets by name: scikit-learn's digits; MNIST, Fashion-MNIST and CIFAR as in torchvision."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from scoring.arrays import Ints
from scoring.data.idx import read_idx
from scoring.data.images import ImageShape, Pixels
from scoring.data.sources import Layout, Piece, Rows, cut
from scoring.errors import BadData, UnknownName
from scoring.store.keys import Split

_IDX_FILES: dict[Split, tuple[str, str]] = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
_DIGIT_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_MNIST_CLASSES = tuple(f"{i} - {name}" for i, name in enumerate(_DIGIT_NAMES))
_FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


@dataclass(frozen=True, kw_only=True)
class Arrays:
    """A whole split of N rows in memory."""

    images: Pixels
    """[N, H, W, D] uint8."""
    labels: Ints
    """[N] class indices."""
    classes: tuple[str, ...]

    @cached_property
    def fingerprint(self) -> str:
        """Hash of images and labels."""
        sha = hashlib.sha256(np.ascontiguousarray(self.images).data)
        sha.update(np.ascontiguousarray(self.labels).data)
        return sha.hexdigest()


@dataclass(frozen=True, kw_only=True)
class NamedSource:
    """A dataset known by name; read as a whole, once per process."""

    name: str
    """Name of the dataset in the store."""
    dataset: str = ""
    """Key of `LOADERS`; empty: the same as `name`."""
    data_root: str = ""
    """Folder that holds the files; digits needs none."""
    shard_rows: int = 2000

    def __post_init__(self) -> None:
        if self._key not in LOADERS:
            raise UnknownName("--dataset", self._key, LOADERS)
        if self._key != "digits" and not self.data_root:
            raise BadData(f"--data-root: expected the folder that holds {self._key}, got none")
        if self.data_root and not Path(self.data_root).is_dir():
            raise BadData(f"--data-root: expected a folder, got {self.data_root!r}")

    @property
    def local(self) -> bool:
        """Whether the files are on this machine only; digits come with every installation."""
        return self._key != "digits"

    def pieces(self, split: Split) -> list[Piece]:
        """Return the pieces of the split, in the library's order."""
        arrays = self._arrays(split)
        return cut(self._key, len(arrays.labels), self.shard_rows, arrays.fingerprint)

    def layout(self) -> Layout:
        """Return the library's class names and the shape of the arrays."""
        train = self._arrays("train")
        height, width, channels = train.images.shape[1:]
        shape = ImageShape(height=height, width=width, channels=channels)
        return Layout(classes=train.classes, shape=shape)

    def labels(self, split: Split, piece: Piece) -> list[int]:
        """Return the labels of one piece."""
        labels: list[int] = self._arrays(split).labels[piece.start :][: piece.rows].tolist()
        return labels

    def read(self, split: Split, piece: Piece) -> Rows:
        """Read pixels and labels of one piece; a row's name is its position in the split."""
        rows = slice(piece.start, piece.start + piece.rows)
        names = [f"{split}/{i}" for i in range(rows.start, rows.stop)]
        pixels = self._arrays(split).images[rows]
        return Rows(labels=self.labels(split, piece), names=names, pixels=pixels)

    @property
    def _key(self) -> str:
        return self.dataset or self.name

    def _arrays(self, split: Split) -> Arrays:
        return _load(self._key, self.data_root, split)


@cache
def _load(name: str, data_root: str, split: Split) -> Arrays:
    return LOADERS[name](Path(data_root), split)


def _load_digits(_: Path, split: Split) -> Arrays:
    """Load scikit-learn's 1797 digits; the last fifth is the test split, 0..16 becomes 0..255."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images = np.round(data.images * (255 / 16)).astype(np.uint8)[..., None]
    first_test = len(images) * 4 // 5
    rows = slice(None, first_test) if split == "train" else slice(first_test, None)
    labels = data.target[rows].astype(np.int64)
    return Arrays(images=images[rows], labels=labels, classes=tuple("0123456789"))


def _idx_loader(class_name: str, classes: tuple[str, ...]) -> Callable[[Path, Split], Arrays]:
    """Return a loader for a dataset of the MNIST family.

    It reads the idx files as they are; torchvision would first unpack them into their folder.
    """

    def load(root: Path, split: Split) -> Arrays:
        image_file, label_file = (_find(root, class_name, name) for name in _IDX_FILES[split])
        images, labels = read_idx(image_file), read_idx(label_file)
        if images.ndim != 3 or labels.shape != (len(images),) or labels.max() >= len(classes):
            raise BadData(
                f"--data-root: expected {len(images)} images and as many labels below "
                f"{len(classes)}, got other contents in {str(image_file)!r} and {str(label_file)!r}"
            )
        return Arrays(images=images[..., None], labels=labels.astype(np.int64), classes=classes)

    return load


def _find(root: Path, class_name: str, name: str) -> Path:
    for folder in (root / class_name / "raw", root / "raw", root):
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    raise BadData(f"--data-root: expected {class_name}/raw/{name}[.gz], got none in {str(root)!r}")


def _cifar_loader(class_name: str) -> Callable[[Path, Split], Arrays]:
    """Return a loader of CIFAR's python batches; torchvision checks their MD5 before unpickling."""

    def load(root: Path, split: Split) -> Arrays:
        from torchvision import datasets

        dataset = getattr(datasets, class_name)
        try:
            data = dataset(root, train=split == "train", download=False)
        except RuntimeError as error:
            raise BadData(
                f"--data-root: expected {dataset.base_folder}/ with {class_name}'s python batches, "
                f"got none or damaged ones in {str(root)!r}"
            ) from error
        labels = np.asarray(data.targets, dtype=np.int64)
        return Arrays(images=data.data, labels=labels, classes=tuple(data.classes))

    return load


LOADERS: dict[str, Callable[[Path, Split], Arrays]] = {
    "digits": _load_digits,
    "mnist": _idx_loader("MNIST", _MNIST_CLASSES),
    "fashion_mnist": _idx_loader("FashionMNIST", _FASHION_CLASSES),
    "cifar10": _cifar_loader("CIFAR10"),
    "cifar100": _cifar_loader("CIFAR100"),
}
"""Loaders of a split by dataset name, given the folder that holds the files."""
