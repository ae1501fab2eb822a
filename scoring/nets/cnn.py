"""Small convolutional nets: the CNN of Carlini et al. 2019 for MNIST, and one a tenth its cost.

Max-pooling comes before the ReLU: both keep the order of values, so the result is that of ReLU
first, on a quarter of the values.
"""

from torch import nn

from scoring.errors import UserError
from scoring.nets.sizes import Shape, scaled

_SMALLEST = 4  # pixels a side: two 2x2 pools leave one
_LITTLE = 16  # pixels a side: below, two 5x5 kernels without padding would leave nothing


def paper_cnn(shape: Shape, classes: int, width: float, dropout: float) -> nn.Sequential:
    """The MNIST net of Carlini et al. 2019: 5x5 convolutions of 32 and 64 channels, 256 units.

    Convolutions keep the image size. 857,738 parameters at 28x28x1 and ten classes.

    Raises:
        UserError: images below 4x4 pixels.
    """
    channels = scaled(32, width), scaled(64, width)
    features, flat = _convolutions(shape, channels, kernel=5, padding=2)
    return nn.Sequential(*features, *_head(flat, scaled(256, width), classes, dropout))


def small_cnn(shape: Shape, classes: int, width: float, dropout: float) -> nn.Sequential:
    """The same with 8 and 16 channels, no padding and 64 units: about a tenth of the time.

    Images below 16 pixels a side get 3x3 kernels that keep the size instead.

    Raises:
        UserError: images below 4x4 pixels.
    """
    kernel, padding = (3, 1) if min(shape[:2]) < _LITTLE else (5, 0)
    channels = scaled(8, width), scaled(16, width)
    features, flat = _convolutions(shape, channels, kernel, padding)
    return nn.Sequential(*features, *_head(flat, scaled(64, width), classes, dropout))


def _convolutions(
    shape: Shape, channels: tuple[int, int], kernel: int, padding: int
) -> tuple[list[nn.Module], int]:
    """Two convolutions with 2x2 max-pools, and how many values they give of an image."""
    height, width, depth = shape
    if min(height, width) < _SMALLEST:
        raise UserError(
            f"--net: expected images of at least {_SMALLEST}x{_SMALLEST} pixels for this net, "
            f"got {height}x{width}"
        )
    first, second = channels
    shrink = kernel - 1 - 2 * padding
    rows, columns = (((side - shrink) // 2 - shrink) // 2 for side in (height, width))
    layers: list[nn.Module] = [
        nn.Conv2d(depth, first, kernel, padding=padding),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Conv2d(first, second, kernel, padding=padding),
        nn.MaxPool2d(2),
        nn.ReLU(),
    ]
    return layers, second * rows * columns


def _head(inputs: int, units: int, classes: int, dropout: float) -> list[nn.Module]:
    return [
        nn.Flatten(),
        nn.Linear(inputs, units),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(units, classes),
    ]
