"""A small convolutional net that learns fast, in the spirit of the CIFAR-10 speed records.

    whiten 2x2 -> [conv 3x3 -> pool -> norm -> ReLU -> conv 3x3 -> norm -> ReLU] x up to 3 -> max

The first layer is fixed: it makes neighbouring pixels and colours uncorrelated, so that all that
follows can learn at a high rate (Page, "How to Train Your ResNet", 2018, part 8; Jordan, "94% on
CIFAR-10 in 3.29 Seconds on a Single GPU", 2024, section 3.1). Pooling comes early, where it saves
three quarters of the work.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from scoring.errors import UserError
from scoring.nets.sizes import Shape

_SIDE = 2  # pixels of a patch
_SMALLEST = 5  # pixels per side: a whitening and one pool leave two
_MOST_BLOCKS = 3
_LEAST_SIDE = 2  # pixels after a block: norms of single values would be nothing
_LEAST_VARIANCE = 5e-4  # of a direction: without it, noise would count as much as the image
_SCALE = 0.125  # of the features: the head begins with small logits


def whitened_cnn(shape: Shape, classes: int, width: float, dropout: float) -> nn.Module:
    """Blocks of 32, 64 and 128 channels: 0.3 M weights at 32x32x3 and ten classes.

    `width` scales channels in steps of eight. Small images get fewer blocks.

    Raises:
        UserError: images are smaller than 5x5 pixels.
    """
    rows, columns, _ = shape
    if min(rows, columns) < _SMALLEST:
        raise UserError(
            f"--net: expected images of at least {_SMALLEST}x{_SMALLEST} pixels for this net, "
            f"got {rows}x{columns}"
        )
    return WhitenedCNN(shape, classes, max(8, 8 * round(4 * width)), dropout)


class WhitenedCNN(nn.Module):
    """The net, with `base` channels in its first block."""

    def __init__(self, shape: Shape, classes: int, base: int, dropout: float) -> None:
        super().__init__()
        rows, columns, depth = shape
        self.whitening = Whitening(depth)
        inputs, side = self.whitening.outputs, min(rows, columns) - _SIDE + 1
        blocks: list[nn.Module] = []
        for block in range(_MOST_BLOCKS):
            if side < 2 * _LEAST_SIDE:
                break
            outputs = base << block
            blocks.append(_block(inputs, outputs))
            inputs, side = outputs, side // 2
        self.blocks = nn.Sequential(*blocks)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(inputs, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Map images [N, D, H, W] to logits [N, C]."""
        features: Tensor = self.blocks(self.whitening(images))
        logits: Tensor = self.head(self.dropout(features.amax((2, 3)) * _SCALE))
        return logits


class Whitening(nn.Module):
    """A fixed 2x2 convolution to uncorrelated directions of equal variance, both ways each.

    Until it has seen data, its directions are those of sums and differences of pixels, which suit
    natural images.
    """

    weight: Tensor

    def __init__(self, depth: int) -> None:
        super().__init__()
        sums = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
        of_pixels = torch.kron(sums, sums) / _SIDE
        directions = torch.kron(torch.eye(depth), of_pixels).reshape(-1, depth, _SIDE, _SIDE)
        self.register_buffer("weight", torch.cat([directions, -directions]))

    @property
    def outputs(self) -> int:
        """Number of channels that it gives."""
        return len(self.weight)

    def fit_to(self, images: Tensor) -> None:
        """Take the directions and variances of the patches of some images [N, D, H, W]."""
        depth = images.shape[1]
        patches = images.unfold(2, _SIDE, 1).unfold(3, _SIDE, 1).permute(0, 2, 3, 1, 4, 5)
        flat = patches.reshape(-1, depth * _SIDE**2).double().cpu()
        variances, directions = torch.linalg.eigh(flat.T @ flat / len(flat))
        scaled = (directions / (variances + _LEAST_VARIANCE).sqrt()).T
        found = scaled.reshape(-1, depth, _SIDE, _SIDE)
        self.weight.copy_(torch.cat([found, -found]))

    def forward(self, images: Tensor) -> Tensor:
        """Map images [N, D, H, W] to [N, 8 D, H - 1, W - 1], rectified."""
        return conv2d(images, self.weight).relu()


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )
