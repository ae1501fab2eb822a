"""Nets as a user would bring them, by `module:factory`."""

from torch import nn


def with_batch_norm(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """A small convolutional net with BatchNorm."""
    return nn.Sequential(
        nn.Conv2d(shape[2], 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Linear(128, classes),
    )
