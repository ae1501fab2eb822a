"""Matrices in memory or in a file on the node's disk, read a block of rows at a time."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from scoring.arrays import Floats32, Ints

_BLOCK_BYTES = 4 << 20  # stays in a core's cache between the two products that use it


class Matrix(Protocol):
    """[N, D] float32: an array, or a `FileMatrix`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, D)."""

    def __getitem__(self, rows: slice | Ints, /) -> Floats32:
        """Return some rows, [n, D]."""


@dataclass(frozen=True, kw_only=True)
class FileMatrix:
    """Raw float32 rows in a file; only the rows being read are in memory."""

    path: Path
    shape: tuple[int, int]

    def __getitem__(self, rows: slice | Ints) -> Floats32:
        """Return some rows, [n, D]; a slice must have step 1."""
        width = self.shape[1]
        if isinstance(rows, slice):
            first, last, _ = rows.indices(self.shape[0])
            count, skipped = (last - first) * width, 4 * first * width
            return np.fromfile(self.path, np.float32, count, offset=skipped).reshape(-1, width)
        found = np.empty((len(rows), width), np.float32)
        # Don't map the file: for each page touched, the kernel would map many around it.
        with self.path.open("rb", buffering=0) as file:
            for row, into in zip(rows.tolist(), found, strict=True):
                os.preadv(file.fileno(), [into.data], 4 * width * row)
        return found


def block_rows(width: int) -> int:
    """Return how many rows of `width` numbers make a block."""
    return max(64, _BLOCK_BYTES // (4 * width))


def blocks(rows: int, size: int) -> Iterator[slice]:
    """Split rows into consecutive blocks of `size`; the last may be smaller."""
    for first in range(0, rows, size):
        yield slice(first, min(first + size, rows))
