"""A format: a function that writes a selection, and how to read the result."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scoring.exports.selection import Selection

OnWritten = Callable[[int], None]
"""Called with the number of examples written since the last call."""


@dataclass(frozen=True, kw_only=True)
class Format:
    """A file format of another tool."""

    suffix: str
    """End of the name of the file or folder, such as ".csv"."""
    read_with: str
    """Python code that reads it, with {path} in place of its path."""
    write: Callable[[Selection, Path, OnWritten], int]
    """Writes to a new file or into an empty folder; returns the number of examples written."""
    folder: bool = False
    """Whether it writes a folder, not a file."""
    images_only: bool = False
    """Whether it cannot hold texts."""
