"""Matrices in memory or in a file on the node's disk, read a block of rows at a time."""

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from scoring.arrays import Floats32, Ints
from scoring.errors import Outage

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

    file: io.FileIO
    shape: tuple[int, int]

    def __getitem__(self, rows: slice | Ints) -> Floats32:
        """Return some rows, [n, D]; a slice must have step 1.

        Raises:
            Outage: the file is shorter than it was.
        """
        # Don't map the file: for each page touched, the kernel would map many around it.
        if isinstance(rows, slice):
            first, last, _ = rows.indices(self.shape[0])
            found = np.empty((max(last - first, 0), self.shape[1]), np.float32)
            self._read(first, found.reshape(-1))
            return found
        found = np.empty((len(rows), self.shape[1]), np.float32)
        for row, into in zip(rows.tolist(), found, strict=True):
            self._read(row, into)
        return found

    def _read(self, row: int, into: Floats32) -> None:
        """Fill `into` with the numbers from the beginning of a row on."""
        left, at = into.view(np.uint8), 4 * self.shape[1] * row
        while len(left):
            read = os.preadv(self.file.fileno(), [left.data], at)
            if not read:
                raise Outage(f"scratch space: expected {self.shape[0]} rows in a file, got fewer")
            left, at = left[read:], at + read


def block_rows(width: int) -> int:
    """Return how many rows of `width` numbers make a block."""
    return max(64, _BLOCK_BYTES // (4 * width))


def blocks(rows: int, size: int) -> Iterator[slice]:
    """Split rows into consecutive blocks of `size`; the last may be smaller."""
    for first in range(0, rows, size):
        yield slice(first, min(first + size, rows))
