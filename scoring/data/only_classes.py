"""A source of which only some classes are taken: two of ten make a task of their own."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from scoring.data.altered import Altered, as_labels, layout_of
from scoring.data.shards import class_indices
from scoring.data.sources import Layout, Piece, Rows
from scoring.errors import UnknownName
from scoring.store.keys import Split
from scoring.store.parallel import in_parallel


@dataclass(frozen=True, kw_only=True)
class OnlyClasses(Altered):
    """Rows of some classes; a piece holds those of one piece of the source behind."""

    classes: tuple[str, ...]
    """Their names, two or more."""

    def __post_init__(self) -> None:
        known = layout_of(self.source).classes
        for name in self.classes:
            if name not in known:
                raise UnknownName("--only-classes", name, known)

    @property
    def name(self) -> str:
        """Says which are left."""
        return "-".join([self.source.name, *(c.replace("/", " ") for c in self.classes)])

    def pieces(self, split: Split) -> list[Piece]:
        """Pieces of the source behind, as far as a row of theirs is left; reads all labels."""
        behind = self.source.pieces(split)
        counts = in_parallel(lambda piece: len(self._kept(split, piece)), behind)
        return [
            # The file says how many rows the piece behind has.
            replace(piece, file=f"{piece.rows}:{piece.file}", rows=count)
            for piece, count in zip(behind, counts, strict=True)
            if count
        ]

    def layout(self) -> Layout:
        """The classes that are left, in the order of the source behind."""
        found = layout_of(self.source)
        return replace(found, classes=tuple(c for c in found.classes if c in self.classes))

    def labels(self, split: Split, piece: Piece) -> Sequence[int | str | None]:
        """Labels of a piece, as indices of the classes that are left."""
        found = layout_of(self.source)
        new = [self.layout().classes.index(c) if c in self.classes else -1 for c in found.classes]
        indices = self._indices(split, _behind(piece))
        return as_labels(np.array([*new, -1])[indices[self._rows(split, piece)]])

    def read(self, split: Split, piece: Piece) -> Rows:
        """The rows of a piece that are left, the first `piece.rows` of them."""
        kept = self._rows(split, piece)
        rows = self.source.read(split, _behind(piece))
        return Rows(
            labels=self.labels(split, piece),
            names=[rows.names[row] for row in kept],
            encoded=rows.encoded and [rows.encoded[row] for row in kept],
            pixels=None if rows.pixels is None else rows.pixels[kept],
        )

    def _rows(self, split: Split, piece: Piece) -> npt.NDArray[np.int64]:
        return self._kept(split, _behind(piece))[: piece.rows]

    def _kept(self, split: Split, behind: Piece) -> npt.NDArray[np.int64]:
        """Which rows of a piece of the source behind are left."""
        known = layout_of(self.source).classes
        chosen = [known.index(name) for name in self.classes]
        return np.flatnonzero(np.isin(self._indices(split, behind), chosen))

    def _indices(self, split: Split, behind: Piece) -> npt.NDArray[np.int64]:
        return class_indices(self.source.labels(split, behind), layout_of(self.source), behind)


def _behind(piece: Piece) -> Piece:
    rows, _, file = piece.file.partition(":")
    return replace(piece, file=file, rows=int(rows))
