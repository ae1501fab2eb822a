"""Sizes that the nets agree on."""

from collections.abc import Callable

from torch import nn

Shape = tuple[int, int, int]
"""(H, W, D) of an image: height, width, channels."""

Dims = tuple[int, ...]
"""Of one example: the `Shape` of an image, or (L,), the tokens of a text."""

OwnNet = Callable[[Shape, int, float, float], nn.Module]
"""(shape, classes, width, dropout) -> net of [N, D, H, W] images that gives [N, C] logits."""

TextNet = Callable[[int, float, float], nn.Module]
"""(classes, width, dropout) -> net of [N, L] token ids that gives [N, C] logits."""


def scaled(units: int, width: float) -> int:
    """`units` hidden channels times `width`, at least one."""
    return max(1, round(units * width))
