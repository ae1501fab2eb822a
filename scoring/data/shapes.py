"""The form that examples take once decoded: images of one size, or texts of one length."""

from scoring.data.images import ImageShape, Pixels
from scoring.data.texts import TextShape, Tokens

InputShape = ImageShape | TextShape
Inputs = Pixels | Tokens
"""One or many decoded examples."""
