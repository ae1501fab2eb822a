"""What a format is: a function that writes what was selected, and how to read it back."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scoring.exports.selection import Selection

Done = Callable[[int], None]
"""Told of every few examples that are done with."""


@dataclass(frozen=True, kw_only=True)
class Format:
    """A format of another tool."""

    ending: str
    """Of the name of what it writes, such as ".csv"."""
    read_with: str
    """Python that reads it; {path} stands for where it is."""
    write: Callable[[Selection, Path, Done], int]
    """Writes a file, or into an empty folder; returns how many examples it wrote."""
    folder: bool = False
    """It writes a folder, not a file."""
    images_only: bool = False
    """It holds no texts."""
