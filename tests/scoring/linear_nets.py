"""Linear image classifiers, whose smallest adversarial perturbations are known."""

import numpy as np
import torch
from torch import nn

from scoring.spec import Batch


def linear_net(weight, bias, scale=1.0):
    """Return a net with logits scale * (weight @ pixels + bias), weight [C, D * H * W]."""
    layer = nn.Linear(weight.shape[1], len(weight))
    with torch.no_grad():
        layer.weight.copy_(scale * weight)
        layer.bias.copy_(scale * bias)
    return nn.Sequential(nn.Flatten(), layer)


def two_classes(pixels=16, seed=0, scale=1.0):
    """Return a net of two classes and its margin w . x + b, > 0 for class 1, 0 at mid-grey."""
    generator = torch.Generator().manual_seed(seed)
    w = torch.randn(pixels, generator=generator)
    b = -w.sum() / 2
    net = linear_net(torch.stack([torch.zeros_like(w), w]), torch.stack([0 * b, b]), scale)
    return net, w, b


def grey_batch(rows=20, side=4, spread=0.1, seed=1, labels=None):
    """Return images around mid-grey, where small perturbations stay inside the box [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    images = 0.5 + spread * (2 * torch.rand(rows, 1, side, side, generator=generator) - 1)
    labels = np.zeros(rows, dtype=np.int64) if labels is None else np.asarray(labels)
    return Batch(ids=np.arange(rows), labels=labels, inputs=images)
