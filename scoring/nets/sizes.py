"""Sizes that the nets agree on."""

from collections.abc import Callable

from torch import nn

Shape = tuple[int, int, int]
"""(H, W, D) of an image: height, width, channels."""

OwnNet = Callable[[Shape, int, float, float], nn.Module]
"""(shape, classes, width, dropout) -> net of [N, D, H, W] images that gives [N, C] logits."""


def scaled(units: int, width: float) -> int:
    """`units` hidden channels times `width`, at least one."""
    return max(1, round(units * width))
