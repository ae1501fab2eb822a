"""A source restricted to some of its classes: two of ten make a task of their own."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

import numpy as np

from scoring.arrays import Ints
from scoring.data.altered import AlteredSource, as_labels, cached_layout
from scoring.data.sources import Layout, Piece, Rows, class_indices
from scoring.errors import UnknownName
from scoring.printable import printable
from scoring.store.keys import Split, digest
from scoring.store.parallel import in_parallel

LONGEST_NAME = 200
"""Most bytes of a dataset's name in a table's path, where a folder's name may have 255."""


def quoted_length(name: str) -> int:
    """Return how many bytes a dataset's name takes in a table's path."""
    return len(quote(name, safe=""))


@dataclass(frozen=True, kw_only=True)
class OnlyClasses(AlteredSource):
    """The rows of some classes; each piece holds what remains of one original piece."""

    classes: tuple[str, ...]
    """Names of the classes to keep, two or more."""

    def __post_init__(self) -> None:
        known = cached_layout(self.source).classes
        for name in self.classes:
            if name not in known:
                raise UnknownName("--only-classes", name, known)

    @property
    def name(self) -> str:
        """Original name and the classes kept; a hash of the classes if that is too long."""
        classes = [printable(c.replace("/", " ")) for c in self.classes]
        name = "-".join([self.source.name, *classes])
        if quoted_length(name) <= LONGEST_NAME:
            return name
        return f"{self.source.name}-{digest(self.classes)[:12]}"

    def pieces(self, split: Split) -> list[Piece]:
        """Return what remains of each original piece, skipping empty ones; reads all labels."""
        originals = self.source.pieces(split)
        counts = in_parallel(lambda piece: len(self._kept(split, piece)), originals)
        return [
            # The file name records how many rows the original piece has.
            replace(piece, file=f"{piece.rows}:{piece.file}", rows=count)
            for piece, count in zip(originals, counts, strict=True)
            if count
        ]

    def layout(self) -> Layout:
        """Return the layout with only the kept classes, in their original order."""
        layout = cached_layout(self.source)
        return replace(layout, classes=tuple(c for c in layout.classes if c in self.classes))

    def labels(self, split: Split, piece: Piece) -> Sequence[int | str | None]:
        """Return the labels of a piece as indices of the kept classes."""
        kept = self.layout().classes
        renumbered = [
            kept.index(c) if c in kept else -1 for c in cached_layout(self.source).classes
        ]
        indices = self._indices(split, _original(piece))
        return as_labels(np.array([*renumbered, -1])[indices[self._rows(split, piece)]])

    def read(self, split: Split, piece: Piece) -> Rows:
        """Read the first `piece.rows` kept rows of a piece."""
        kept = self._rows(split, piece)
        rows = self.source.read(split, _original(piece))
        return Rows(
            labels=self.labels(split, piece),
            names=[rows.names[row] for row in kept],
            encoded=rows.encoded and [rows.encoded[row] for row in kept],
            pixels=None if rows.pixels is None else rows.pixels[kept],
        )

    def _rows(self, split: Split, piece: Piece) -> Ints:
        return self._kept(split, _original(piece))[: piece.rows]

    def _kept(self, split: Split, original: Piece) -> Ints:
        """Return the positions of the kept rows in an original piece."""
        known = cached_layout(self.source).classes
        chosen = [known.index(name) for name in self.classes]
        return np.flatnonzero(np.isin(self._indices(split, original), chosen))

    def _indices(self, split: Split, original: Piece) -> Ints:
        labels = self.source.labels(split, original)
        return class_indices(labels, cached_layout(self.source), original)


def _original(piece: Piece) -> Piece:
    """Return the original piece that a piece was cut from."""
    rows, _, file = piece.file.partition(":")
    return replace(piece, file=file, rows=int(rows))
