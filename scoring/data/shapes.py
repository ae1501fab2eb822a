"""What the examples of a dataset are once they are decoded: images of one size, or texts."""

from collections.abc import Mapping
from typing import Any

from scoring.data.images import ImageShape, Pixels
from scoring.data.texts import TextShape, Tokens

InputShape = ImageShape | TextShape
Inputs = Pixels | Tokens
"""Examples, or one of them, as arrays."""


def parse_shape(raw: Mapping[str, Any]) -> InputShape:
    """Read a shape from what JSON says of it."""
    return TextShape(**raw) if "tokens" in raw else ImageShape(**raw)
