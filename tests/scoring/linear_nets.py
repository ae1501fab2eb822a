"""Linear classifiers of images, whose smallest adversarial perturbations are known."""

import numpy as np
import torch
from torch import nn

from scoring.spec import Batch


def linear_net(weight, bias, scale=1.0):
    """Logits scale * (weight @ pixels + bias), weight [C, D * H * W]."""
    layer = nn.Linear(weight.shape[1], len(weight))
    with torch.no_grad():
        layer.weight.copy_(scale * weight)
        layer.bias.copy_(scale * bias)
    return nn.Sequential(nn.Flatten(), layer)


def two_classes(pixels=16, seed=0, scale=1.0):
    """A net of two classes and its margin w . x + b, > 0 for class 1; the boundary is at grey."""
    generator = torch.Generator().manual_seed(seed)
    w = torch.randn(pixels, generator=generator)
    b = -w.sum() / 2
    net = linear_net(torch.stack([torch.zeros_like(w), w]), torch.stack([0 * b, b]), scale)
    return net, w, b


def grey_batch(rows=20, side=4, spread=0.1, seed=1, labels=None):
    """Images around mid-grey: the box [0, 1] stays out of reach of small perturbations."""
    generator = torch.Generator().manual_seed(seed)
    images = 0.5 + spread * (2 * torch.rand(rows, 1, side, side, generator=generator) - 1)
    labels = np.zeros(rows, dtype=np.int64) if labels is None else np.asarray(labels)
    return Batch(ids=np.arange(rows), labels=labels, inputs=images)
