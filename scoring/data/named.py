"""Datasets by name: scikit-learn's digits, and MNIST, Fashion-MNIST and CIFAR by torchvision."""

import gzip
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scoring.data.images import ImageShape, Pixels
from scoring.data.sources import Layout, Piece, Rows, cut
from scoring.errors import BadData, UnknownName
from scoring.keys import SPLITS, Split

Arrays = tuple[Pixels, npt.NDArray[np.int64], tuple[str, ...]]
_IDX_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


@dataclass(frozen=True, kw_only=True)
class NamedSource:
    """A dataset that a library knows by name; read whole, once per process."""

    name: str
    data_root: str = ""
    """Folder that holds the files; digits needs none."""
    shard_rows: int = 2000
    local: bool = True

    def __post_init__(self) -> None:
        if self.name not in LOADERS:
            raise UnknownName("--dataset", self.name, [*LOADERS, "image_folder", "parquet"])
        if self.name != "digits" and not self.data_root:
            raise BadData(f"--data-root: expected the folder that holds {self.name}, got none")
        if self.data_root and not Path(self.data_root).is_dir():
            raise BadData(f"--data-root: expected a folder, got {self.data_root!r}")

    def pieces(self, split: Split) -> list[Piece]:
        """Pieces of the split; the files never change, so neither does the fingerprint."""
        images, _, _ = self._arrays(split)
        return cut(self.name, len(images), self.shard_rows, f"{self.name}-{len(images)}")

    def layout(self) -> Layout:
        """Class names as the library gives them, shape of the arrays."""
        images, _, classes = self._arrays("train")
        height, width, channels = images.shape[1:]
        shape = ImageShape(height=height, width=width, channels=channels)
        return Layout(classes=classes, shape=shape)

    def read(self, split: Split, piece: Piece) -> Rows:
        """Pixels and labels of one piece; names are the row's position in the split."""
        images, labels, _ = self._arrays(split)
        rows = slice(piece.start, piece.start + piece.rows)
        names = [f"{split}/{i}" for i in range(rows.start, rows.stop)]
        return Rows(labels=labels[rows].tolist(), names=names, pixels=images[rows])

    def _arrays(self, split: Split) -> Arrays:
        return _load(self.name, self.data_root, split)


@cache
def _load(name: str, data_root: str, split: Split) -> Arrays:
    return LOADERS[name](Path(data_root), split)


def _digits(_: Path, split: Split) -> Arrays:
    """The last fifth of scikit-learn's 1797 digits is the test split; 0..16 becomes 0..255."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images = np.round(data.images * (255 / 16)).astype(np.uint8)[..., None]
    cut_at = len(images) * 4 // 5
    rows = slice(None, cut_at) if split == "train" else slice(cut_at, None)
    return images[rows], data.target[rows].astype(np.int64), tuple("0123456789")


def _idx(class_name: str) -> Callable[[Path, Split], Arrays]:
    """A loader of the MNIST family from its idx files, packed or not, root read-only or not."""

    def load(root: Path, split: Split) -> Arrays:
        from torchvision import datasets
        from torchvision.datasets import mnist

        image_file, label_file = (_find(root, class_name, name) for name in _IDX_FILES[split])
        with tempfile.TemporaryDirectory() as folder:
            images = mnist.read_image_file(_unpacked(image_file, folder)).numpy()
            labels = mnist.read_label_file(_unpacked(label_file, folder)).numpy()
        classes = tuple(getattr(datasets, class_name).classes)
        return images[..., None], labels.astype(np.int64), classes

    return load


def _find(root: Path, class_name: str, name: str) -> Path:
    for folder in (root / class_name / "raw", root / "raw", root):
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    raise BadData(f"--data-root: expected {class_name}/raw/{name}[.gz], got none in {str(root)!r}")


def _unpacked(path: Path, folder: str) -> str:
    if path.suffix != ".gz":
        return str(path)
    target = Path(folder) / path.stem
    try:
        target.write_bytes(gzip.decompress(path.read_bytes()))
    except (OSError, EOFError) as error:
        raise BadData(f"--data-root: expected a gzip file, got {str(path)!r} ({error})") from error
    return str(target)


def _cifar(class_name: str) -> Callable[[Path, Split], Arrays]:
    def load(root: Path, split: Split) -> Arrays:
        from torchvision import datasets

        try:
            data = getattr(datasets, class_name)(root, train=split == "train", download=False)
        except RuntimeError as error:
            raise BadData(
                f"--data-root: expected {class_name}'s python batches, got none in {str(root)!r}"
            ) from error
        return data.data, np.asarray(data.targets, dtype=np.int64), tuple(data.classes)

    return load


LOADERS: dict[str, Callable[[Path, Split], Arrays]] = {
    "digits": _digits,
    "mnist": _idx("MNIST"),
    "fashion_mnist": _idx("FashionMNIST"),
    "cifar10": _cifar("CIFAR10"),
    "cifar100": _cifar("CIFAR100"),
}
assert set(_IDX_FILES) == set(SPLITS)
