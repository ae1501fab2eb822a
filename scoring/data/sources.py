"""Sources of labelled examples: lists of pieces, each of which can be read on its own.

A piece is a number of consecutive rows of one source file. Files are cut at fixed row counts, so a
file that grows keeps its earlier pieces. Listing the pieces reads metadata only.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from scoring.arrays import Ints
from scoring.data.images import Pixels
from scoring.data.shapes import InputShape
from scoring.errors import BadData
from scoring.store.keys import Split


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Rows [start, start + rows) of one source file."""

    file: str
    """Path within the source; with `start`, the piece's identity from night to night."""
    start: int
    rows: int
    fingerprint: str
    """Changes whenever the bytes may have changed: size and modification time, or an ETag."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The N rows of a piece, as read from the source."""

    labels: Sequence[int | str | None]
    """[N]: class index or class name; None where unknown."""
    names: Sequence[str | None]
    """[N]: the user's own id or file name."""
    encoded: Sequence[bytes | None] | None = None
    """[N] image files, or texts in UTF-8; None if `pixels` are given."""
    pixels: Pixels | None = None
    """[N, H, W, D] uint8, from sources that hold arrays."""

    def data(self, row: int) -> bytes | None:
        """Return the bytes of an example as a shard holds them."""
        if self.pixels is not None:
            return bytes(self.pixels[row].tobytes())
        return self.encoded[row] if self.encoded is not None else None

    def part(self, rows: slice) -> "Rows":
        """Return some of the rows."""
        return Rows(
            labels=self.labels[rows],
            names=self.names[rows],
            encoded=self.encoded and self.encoded[rows],
            pixels=None if self.pixels is None else self.pixels[rows],
        )


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Properties that all rows of a dataset share."""

    classes: tuple[str, ...]
    """Class names by index."""
    shape: InputShape
    state: str = ""
    """Identifies the state of the training files that the layout was read from."""


class Source(Hashable, Protocol):
    """A labelled dataset somewhere; sources can be pickled, so that workers can read pieces."""

    @property
    def name(self) -> str:
        """Name of the dataset in the store and in the tables."""

    @property
    def local(self) -> bool:
        """Whether its files are on the driver's own disk, so that only the driver can read them."""

    @property
    def shard_rows(self) -> int:
        """Rows per piece, except for the last piece of a file."""

    def pieces(self, split: Split) -> list[Piece]:
        """Return all pieces of a split, in row order.

        Raises:
            BadData: the files are missing or hold no rows.
        """

    def layout(self) -> Layout:
        """Read the class names and the shape of decoded examples from the training split.

        Raises:
            BadData: no image decodes, or a column is missing or of the wrong type.
        """

    def labels(self, split: Split, piece: Piece) -> Sequence[int | str | None]:
        """Read the labels of one piece, as in `read`, but without the examples.

        Raises:
            BadData: the file has changed since the survey, or cannot be read.
        """

    def read(self, split: Split, piece: Piece) -> Rows:
        """Read the rows of one piece.

        Raises:
            BadData: the file has changed since the survey, or cannot be read.
        """


def cut(file: str, rows: int, shard_rows: int, fingerprint: str) -> list[Piece]:
    """Cut a file of `rows` rows into pieces of `shard_rows`, the last one shorter."""
    return [
        Piece(file=file, start=start, rows=min(shard_rows, rows - start), fingerprint=fingerprint)
        for start in range(0, rows, shard_rows)
    ]


def first_rows(pieces: Sequence[Piece], limit: int | None) -> list[Piece]:
    """Return the pieces that hold the first `limit` rows, the last one shortened."""
    if limit is None:
        return list(pieces)
    kept, left = [], limit
    for piece in pieces:
        if left <= 0:
            break
        kept.append(replace(piece, rows=min(piece.rows, left)))
        left -= piece.rows
    return kept


def class_indices(labels: Sequence[int | str | None], layout: Layout, piece: Piece) -> Ints:
    """Convert the labels [N] of a piece to class indices, -1 where unknown.

    Raises:
        BadData: a label is not a class of the training split.
    """
    index: dict[int | str | None, int] = {name: i for i, name in enumerate(layout.classes)}
    index |= {i: i for i in range(len(layout.classes))} | {None: -1}
    for row, label in enumerate(labels, start=piece.start):
        if label not in index:
            raise BadData(
                f"{piece.file} row {row}: expected a label among the training split's "
                f"{len(layout.classes)} classes, got {label!r}"
            )
    return np.array([index[label] for label in labels], dtype=np.int64)
