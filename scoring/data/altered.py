"""Datasets changed on purpose, to see what a metric makes of it: wrong labels, corrupted images.

Each is a source seen through an alteration. What happens to a row depends on the seed and on where
the row stands in its file, on nothing else: neither limits nor shards nor workers change it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import numpy.typing as npt

from scoring.data.corruptions import CORRUPTIONS, corrupt
from scoring.data.images import ImageShape, as_png
from scoring.data.shapes import InputShape
from scoring.data.shards import class_indices
from scoring.data.sources import Layout, Piece, Rows, Source, first_rows
from scoring.store.keys import Split

CLEAN = "clean"


@dataclass(frozen=True, kw_only=True)
class Altered:
    """What an altered source shares with the one behind it."""

    source: Source
    seed: int = 0

    @property
    def local(self) -> bool:
        """Read where the source behind is read."""
        return self.source.local

    @property
    def shard_rows(self) -> int:
        """Cut as the source behind is cut."""
        return self.source.shard_rows

    def pieces(self, split: Split) -> list[Piece]:
        """Those of the source behind."""
        return self.source.pieces(split)

    def layout(self) -> Layout:
        """That of the source behind."""
        return self.source.layout()

    def labels(self, split: Split, piece: Piece) -> Sequence[int | str | None]:
        """Labels of a piece, as `read` gives them."""
        return self.source.labels(split, piece)

    def _suffix(self) -> str:
        return f"-seed{self.seed}" if self.seed else ""


@dataclass(frozen=True, kw_only=True)
class Relabelled(Altered):
    """A source of whose training labels a share was drawn anew, uniformly from all classes.

    So a row that is chosen keeps its label with probability 1 / C.
    """

    share: float
    """Share of the rows to choose, in [0, 1]."""

    @property
    def name(self) -> str:
        """Says what was done."""
        return f"{self.source.name}-relabelled-{100 * self.share:g}{self._suffix()}"

    def read(self, split: Split, piece: Piece) -> Rows:
        """The rows of a piece; those of the training split with class indices for labels."""
        return replace(self.source.read(split, piece), labels=self.labels(split, piece))

    def labels(self, split: Split, piece: Piece) -> Sequence[int | str | None]:
        """Those of the training split as class indices, a share of them drawn anew."""
        given = self.source.labels(split, piece)
        if split == "test":
            return given
        layout = layout_of(self.source)
        true, classes = class_indices(given, layout, piece), len(layout.classes)
        labels = np.where(true >= 0, (true + self._steps(piece, classes)) % classes, true)
        return as_labels(labels)

    def changed(self, piece: Piece, classes: int) -> npt.NDArray[np.bool_]:
        """[rows]: whose label, where there is one, is another than the source's."""
        return self._steps(piece, classes) > 0

    def true_labels(self, piece: Piece) -> npt.NDArray[np.int64]:
        """[rows]: the class that the source gives each row of a training piece, -1 if none."""
        return class_indices(self.source.labels("train", piece), layout_of(self.source), piece)

    def _steps(self, piece: Piece, classes: int) -> npt.NDArray[np.int64]:
        """[rows]: by how many classes each label is moved on; uniform where it is drawn anew."""
        draws = _random(self.seed, piece.file, piece.start).random((piece.rows, 2))
        chosen = draws[:, 0] < self.share
        return np.where(chosen, (draws[:, 1] * classes).astype(np.int64), 0)


@dataclass(frozen=True, kw_only=True)
class Corrupted(Altered):
    """A source whose test split also holds a copy of itself under each of MNIST-C's corruptions."""

    rows: int | None = None
    """So many test images, each clean and with every corruption; None: all."""

    @property
    def name(self) -> str:
        """Called after the authors' "MNIST-C"."""
        return f"{self.source.name}-c{self._suffix()}"

    def pieces(self, split: Split) -> list[Piece]:
        """The training split as it is; of the test split clean pieces first."""
        pieces = self.source.pieces(split)
        if split == "train":
            return pieces
        return [
            replace(piece, file=f"{corruption}:{piece.file}")
            for corruption in (CLEAN, *CORRUPTIONS)
            for piece in first_rows(pieces, self.rows)
        ]

    def labels(self, split: Split, piece: Piece) -> Sequence[int | str | None]:
        """Those of the images behind."""
        return self.source.labels(split, _behind(piece) if split == "test" else piece)

    def read(self, split: Split, piece: Piece) -> Rows:
        """The rows of a piece, corrupted where its file says so."""
        if split == "train":
            return self.source.read(split, piece)
        behind = _behind(piece)
        rows, corruption = self.source.read(split, behind), corruption_of(piece)
        names = [name and f"{corruption}/{name}" for name in rows.names]
        if corruption == CLEAN:
            return replace(rows, names=names)
        rngs = [
            _random(self.seed, corruption, behind.file, behind.start + row)
            for row in range(piece.rows)
        ]
        if rows.pixels is not None:
            both = zip(rows.pixels, rngs, strict=True)
            pixels = np.stack([corrupt(image, corruption, rng) for image, rng in both])
            return replace(rows, names=names, pixels=pixels)
        shape = layout_of(self.source).shape
        encoded = [
            _corrupt_file(file, shape, corruption, rng)
            for file, rng in zip(rows.encoded or (), rngs, strict=True)
        ]
        return replace(rows, names=names, encoded=encoded)


def corruption_of(piece: Piece) -> str:
    """The corruption of a test piece of a `Corrupted` source, or `CLEAN`."""
    return piece.file.partition(":")[0]


def _behind(piece: Piece) -> Piece:
    """The piece of the source behind that a test piece shows."""
    return replace(piece, file=piece.file.partition(":")[2])


def _corrupt_file(
    data: bytes | None, shape: InputShape, corruption: str, rng: np.random.Generator
) -> bytes | None:
    """An image file as a PNG of the corrupted image; what does not decode stays as it is."""
    assert isinstance(shape, ImageShape)  # the flags give no texts
    image = shape.decode(data)
    return data if image is None else as_png(corrupt(image, corruption, rng))


def _random(*key: object) -> np.random.Generator:
    words = hashlib.sha256(repr(key).encode()).digest()
    return np.random.default_rng(np.frombuffer(words, dtype=np.uint32))


def as_labels(indices: npt.NDArray[np.int64]) -> list[int | None]:
    """Class indices as a source gives them: None where unknown."""
    return [None if label < 0 else label for label in indices.tolist()]


@cache
def layout_of(source: Source) -> Layout:
    """Read once a process, not once a piece."""
    return source.layout()
