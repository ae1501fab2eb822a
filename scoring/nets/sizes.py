"""Shapes and signatures that the nets share."""

from collections.abc import Callable

from torch import nn

Shape = tuple[int, int, int]
"""(H, W, D) of an image: height, width, channels."""

Dims = tuple[int, ...]
"""Shape of one example: the `Shape` of an image, or (L,) for a text of L tokens."""

VisionNet = Callable[[Shape, int, float, float], nn.Module]
"""(shape, classes, width, dropout) -> net that maps images [N, D, H, W] to logits [N, C]."""

TextNet = Callable[[int, float, float], nn.Module]
"""(classes, width, dropout) -> net that maps token ids [N, L] to logits [N, C]."""


def scaled(units: int, width: float) -> int:
    """Multiply a number of hidden channels by `width`, at least to one."""
    return max(1, round(units * width))
