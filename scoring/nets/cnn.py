"""Small convolutional nets: the CNN of Carlini et al. 2019, one at a tenth its cost, and LeNet-5.

Max-pooling comes before the ReLU. Both preserve the order of values, so the result is the same as
with the ReLU first, but the ReLU sees only a quarter of the values.
"""

from torch import nn

from scoring.errors import UserError
from scoring.nets.sizes import Shape, scaled

_SMALLEST = 4  # pixels per side: two 2x2 pools leave one
_NEEDS_PADDING = 16  # pixels per side: below, two unpadded 5x5 kernels would leave nothing


def paper_cnn(shape: Shape, classes: int, width: float, dropout: float) -> nn.Sequential:
    """The MNIST net of Carlini et al. 2019: 5x5 convolutions of 32 and 64 channels, 256 units.

    Convolutions keep the image size. 857,738 parameters at 28x28x1 and ten classes.

    Raises:
        UserError: images are smaller than 4x4 pixels.
    """
    channels = scaled(32, width), scaled(64, width)
    features, flat = _convolutions(shape, channels, kernel=5, paddings=(2, 2))
    return nn.Sequential(*features, *_head(flat, scaled(256, width), classes, dropout))


def small_cnn(shape: Shape, classes: int, width: float, dropout: float) -> nn.Sequential:
    """`paper_cnn` with 8 and 16 channels, no padding and 64 units: takes about a tenth of the time.

    For images of fewer than 16 pixels per side, 3x3 kernels that keep the size.

    Raises:
        UserError: images are smaller than 4x4 pixels.
    """
    kernel, padding = (3, 1) if min(shape[:2]) < _NEEDS_PADDING else (5, 0)
    channels = scaled(8, width), scaled(16, width)
    features, flat = _convolutions(shape, channels, kernel, (padding, padding))
    return nn.Sequential(*features, *_head(flat, scaled(64, width), classes, dropout))


def lenet5(shape: Shape, classes: int, width: float, dropout: float) -> nn.Sequential:
    """LeNet-5 (LeCun et al. 1998): convolutions of 6 and 16 channels, 120 and 84 units.

    Built as is usual today, with max-pools, ReLU and full connections: 61,706 parameters at 28x28x1
    and ten classes. Images of fewer than 16 pixels per side are padded in the second convolution
    too.

    Raises:
        UserError: images are smaller than 4x4 pixels.
    """
    paddings = (2, 2) if min(shape[:2]) < _NEEDS_PADDING else (2, 0)
    channels = scaled(6, width), scaled(16, width)
    features, flat = _convolutions(shape, channels, 5, paddings)
    units = scaled(120, width)
    head = _head(units, scaled(84, width), classes, dropout)[1:]
    return nn.Sequential(*features, nn.Flatten(), nn.Linear(flat, units), nn.ReLU(), *head)


def _convolutions(
    shape: Shape, channels: tuple[int, int], kernel: int, paddings: tuple[int, int]
) -> tuple[list[nn.Module], int]:
    """Return two convolutions with 2x2 max-pools, and how many features they give per image."""
    rows, columns, depth = shape
    if min(rows, columns) < _SMALLEST:
        raise UserError(
            f"--net: expected images of at least {_SMALLEST}x{_SMALLEST} pixels for this net, "
            f"got {rows}x{columns}"
        )
    layers: list[nn.Module] = []
    for outputs, padding in zip(channels, paddings, strict=True):
        layers += [nn.Conv2d(depth, outputs, kernel, padding=padding), nn.MaxPool2d(2), nn.ReLU()]
        rows, columns = ((side + 2 * padding - kernel + 1) // 2 for side in (rows, columns))
        depth = outputs
    return layers, depth * rows * columns


def _head(inputs: int, units: int, classes: int, dropout: float) -> list[nn.Module]:
    return [
        nn.Flatten(),
        nn.Linear(inputs, units),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(units, classes),
    ]
