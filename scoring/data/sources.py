"""What a source of labelled examples is: a list of pieces, each readable alone.

A piece is a run of consecutive rows of one source file. Pieces are cut at fixed row counts, so a
file that grows keeps its earlier pieces; surveying them reads metadata only.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from scoring.data.images import Pixels
from scoring.data.shapes import InputShape
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
    """The N rows of a piece, as the source holds them."""

    labels: Sequence[int | str | None]
    """[N]: class index or class name; None where unknown."""
    names: Sequence[str | None]
    """[N]: the user's own id or file name."""
    encoded: Sequence[bytes | None] | None = None
    """[N] image files, or texts in UTF-8; or else `pixels`."""
    pixels: Pixels | None = None
    """[N, H, W, D] uint8 for sources that hold arrays."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What all rows of a dataset share."""

    classes: tuple[str, ...]
    """Class names by index."""
    shape: InputShape
    state: str = ""
    """Names the state of the training files that it was read from."""


class Source(Hashable, Protocol):
    """A labelled dataset somewhere; sources pickle, so that workers can read pieces."""

    @property
    def name(self) -> str:
        """Names the dataset in the store and in the tables."""

    @property
    def local(self) -> bool:
        """Its files are on the driver's own disk, so its pieces are read there."""

    @property
    def shard_rows(self) -> int:
        """Rows a piece, the last one of a file aside."""

    def pieces(self, split: Split) -> list[Piece]:
        """All pieces of a split, in row order.

        Raises:
            BadData: the files are missing or hold no rows.
        """

    def layout(self) -> Layout:
        """Class names, and what examples are decoded to, from the training split.

        Raises:
            BadData: no image decodes, or a column is missing or of the wrong type.
        """

    def labels(self, split: Split, piece: Piece) -> Sequence[int | str | None]:
        """The labels of the rows of one piece, as `read` gives them, without the images.

        Raises:
            BadData: the file has changed since the survey, or cannot be read.
        """

    def read(self, split: Split, piece: Piece) -> Rows:
        """The rows of one piece.

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
    """The pieces that hold the first `limit` rows, the last one shortened."""
    if limit is None:
        return list(pieces)
    kept, left = [], limit
    for piece in pieces:
        if left <= 0:
            break
        kept.append(replace(piece, rows=min(piece.rows, left)))
        left -= piece.rows
    return kept
