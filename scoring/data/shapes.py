"""The form that examples take once decoded: images of one size, or texts of one length."""

from scoring.data.images import ImageShape, Pixels
from scoring.data.texts import TextShape, Tokens
from scoring.store.records import register_union

InputShape = ImageShape | TextShape
Inputs = Pixels | Tokens
"""One or many decoded examples."""

register_union(InputShape, lambda shape: TextShape if "tokens" in shape else ImageShape)
