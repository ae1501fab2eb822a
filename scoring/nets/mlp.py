"""A multilayer perceptron with one hidden layer: the cheapest net worth ensembling."""

import math

from torch import nn

from scoring.nets.sizes import Shape, scaled


def mlp(shape: Shape, classes: int, width: float, dropout: float) -> nn.Sequential:
    """256 hidden units (times `width`) on the flattened image."""
    units = scaled(256, width)
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(math.prod(shape), units),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(units, classes),
    )
