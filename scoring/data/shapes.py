"""The form that examples take once decoded: images of one size, or texts of one length."""

from collections.abc import Mapping
from typing import Any

from scoring.data.images import ImageShape, Pixels
from scoring.data.texts import TextShape, Tokens

InputShape = ImageShape | TextShape
Inputs = Pixels | Tokens
"""One or many decoded examples."""


def parse_shape(raw: Mapping[str, Any]) -> InputShape:
    """Build a shape from its JSON form."""
    return TextShape(**raw) if "tokens" in raw else ImageShape(**raw)
