"""Sources altered on purpose, to test how metrics react: wrong labels, corrupted images.

Each one wraps another source. What happens to a row depends only on the seed and on the row's
position in its file, so limits, shards and workers do not affect it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from scoring.arrays import Bools, Ints
from scoring.data.images import ImageShape, Pixels, as_png
from scoring.data.shapes import InputShape
from scoring.data.sources import Layout, Piece, Rows, Source, class_indices, first_rows
from scoring.errors import UnknownName
from scoring.store.keys import Split, digest

CLEAN = "clean"
_ANY = -1  # class


@dataclass(frozen=True, kw_only=True)
class AlteredSource:
    """Base of the altered sources: passes on whatever the original source says."""

    source: Source
    """The original."""
    seed: int = 0

    @property
    def local(self) -> bool:
        """Whether the original source is local."""
        return self.source.local

    @property
    def shard_rows(self) -> int:
        """Rows per piece of the original source."""
        return self.source.shard_rows

    def pieces(self, split: Split) -> list[Piece]:
        """Return the pieces of the original source."""
        return self.source.pieces(split)

    def layout(self) -> Layout:
        """Return the layout of the original source."""
        return self.source.layout()

    def labels(self, split: Split, piece: Piece) -> Sequence[int | str | None]:
        """Return the labels of a piece, as `read` does."""
        return self.source.labels(split, piece)

    def _suffix(self) -> str:
        return f"-seed{self.seed}" if self.seed else ""


@dataclass(frozen=True, kw_only=True)
class Relabelled(AlteredSource):
    """A source with a share of its training labels changed.

    A chosen row gets a class drawn uniformly from all C, so with probability 1 / C its own again.
    """

    share: float
    """Share of the rows to choose, in [0, 1]."""
    only: tuple[str, ...] = ()
    """Change only labels of these classes: "A" draws another class, "A=B" changes A to B; empty:
    all classes."""

    def __post_init__(self) -> None:
        known = cached_layout(self.source).classes if self.only else ()
        for name in (name for change in self.only for name in change.split("=", 1)):
            if name not in known:
                raise UnknownName("--relabel-classes", name, known)

    @property
    def name(self) -> str:
        """Original name, share, classes and seed."""
        only = f"-{digest(self.only)[:8]}" if self.only else ""
        return f"{self.source.name}-relabelled-{100 * self.share:g}{only}{self._suffix()}"

    def read(self, split: Split, piece: Piece) -> Rows:
        """Read the rows of a piece; in the training split, labels are class indices."""
        return replace(self.source.read(split, piece), labels=self.labels(split, piece))

    def labels(self, split: Split, piece: Piece) -> Sequence[int | str | None]:
        """Return the labels of a piece: in the training split, class indices, some of them changed.

        Test labels stay as they are.
        """
        if split == "test":
            return self.source.labels(split, piece)
        return as_labels(self._labels(piece, self.true_labels(piece)))

    def changed(self, piece: Piece) -> Bools:
        """[rows]: whether the row's label, if it has one, differs from the original."""
        true = self.true_labels(piece)
        changed: Bools = self._labels(piece, true) != true
        return changed

    def true_labels(self, piece: Piece) -> Ints:
        """[rows]: the original class of each row of a training piece, -1 if unknown."""
        return class_indices(self.source.labels("train", piece), cached_layout(self.source), piece)

    def _labels(self, piece: Piece, true: Ints) -> Ints:
        """[rows]: the class of each row, -1 if unknown, given the original one."""
        classes = cached_layout(self.source).classes
        draws = _generator(self.seed, piece.file, piece.start).random((piece.rows, 2))
        drawn = (true + (draws[:, 1] * len(classes)).astype(np.int64)) % len(classes)
        becomes = np.arange(len(classes)) if self.only else np.full(len(classes), _ANY)
        for old, _, new in (change.partition("=") for change in self.only):
            becomes[classes.index(old)] = classes.index(new) if new else _ANY
        to = becomes[true]
        chosen = (draws[:, 0] < self.share) & (true >= 0)
        return np.where(chosen, np.where(to == _ANY, drawn, to), true)


@dataclass(frozen=True, kw_only=True)
class Corrupted(AlteredSource):
    """A source whose test split also holds a copy of itself under each of MNIST-C's corruptions."""

    rows: int | None = None
    """Number of test images to take, each clean and with every corruption; None: all."""

    @property
    def name(self) -> str:
        """Original name with "-c", after "MNIST-C"."""
        return f"{self.source.name}-c{self._suffix()}"

    def pieces(self, split: Split) -> list[Piece]:
        """Return the training pieces unchanged; the test pieces once clean, then once each way."""
        from scoring.data.corruptions import CORRUPTIONS  # scikit-image takes a second to import

        pieces = self.source.pieces(split)
        if split == "train":
            return pieces
        return [
            replace(piece, file=f"{corruption}:{piece.file}")
            for corruption in (CLEAN, *CORRUPTIONS)
            for piece in first_rows(pieces, self.rows)
        ]

    def labels(self, split: Split, piece: Piece) -> Sequence[int | str | None]:
        """Return the labels of the original images."""
        return self.source.labels(split, _original(piece) if split == "test" else piece)

    def read(self, split: Split, piece: Piece) -> Rows:
        """Read the rows of a piece and apply the corruption that its file name states."""
        if split == "train":
            return self.source.read(split, piece)
        original, corruption = _original(piece), corruption_of(piece)
        rows = self.source.read(split, original)
        rows = replace(rows, names=[name and f"{corruption}/{name}" for name in rows.names])
        if corruption == CLEAN:
            return rows
        rngs = [
            _generator(self.seed, corruption, original.file, original.start + row)
            for row in range(piece.rows)
        ]
        if rows.pixels is not None:
            images = zip(rows.pixels, rngs, strict=True)
            corrupted = [_corrupt(image, corruption, rng) for image, rng in images]
            return replace(rows, pixels=np.stack(corrupted))
        shape = cached_layout(self.source).shape
        files = zip(rows.encoded or (), rngs, strict=True)
        return replace(
            rows, encoded=[_corrupt_file(file, shape, corruption, rng) for file, rng in files]
        )


def corruption_of(piece: Piece) -> str:
    """Return the corruption of a test piece of a `Corrupted` source, or `CLEAN`."""
    return piece.file.partition(":")[0]


def _original(piece: Piece) -> Piece:
    """Return the original source's piece that a test piece was made from."""
    return replace(piece, file=piece.file.partition(":")[2])


def _corrupt_file(
    data: bytes | None, shape: InputShape, corruption: str, rng: np.random.Generator
) -> bytes | None:
    """Corrupt an image file and return it as PNG; leave it alone if it does not decode."""
    assert isinstance(shape, ImageShape)  # no flag combination corrupts texts
    image = shape.decode(data)
    return data if image is None else as_png(_corrupt(image, corruption, rng))


def _corrupt(image: Pixels, corruption: str, rng: np.random.Generator) -> Pixels:
    from scoring.data.corruptions import corrupt

    return corrupt(image, corruption, rng)


def _generator(*key: object) -> np.random.Generator:
    seed = hashlib.sha256(repr(key).encode()).digest()
    return np.random.default_rng(np.frombuffer(seed, dtype=np.uint32))


def as_labels(indices: Ints) -> list[int | None]:
    """Convert class indices to the form that a source gives: None where unknown."""
    return [None if label < 0 else label for label in indices.tolist()]


@cache
def cached_layout(source: Source) -> Layout:
    """Read a source's layout once per process rather than once per piece."""
    return source.layout()
