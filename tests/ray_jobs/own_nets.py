"""Nets as a user would bring them, by `module:factory`."""

import tempfile
from pathlib import Path

import torch
from torch import nn

FAILED_ONCE = Path(tempfile.gettempdir()) / "protoscore-test-failed-once"


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


class Scale(nn.Module):
    """A trainable layer with a buffer, which DP-SGD cannot keep apart by example."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images * self.scale


def not_private(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """A net that trains, but not with DP-SGD."""
    height, width, channels = shape
    return nn.Sequential(nn.Flatten(), Scale(), nn.Linear(height * width * channels, classes))


class FailsOnce(nn.Module):
    """A layer that cannot be trained the first time on a machine, as chance may have it."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.training and not FAILED_ONCE.exists():
            FAILED_ONCE.touch()
            raise OSError("try again")
        return images


def fails_once(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """A net whose first training fails."""
    return nn.Sequential(FailsOnce(), with_batch_norm(shape, classes))
