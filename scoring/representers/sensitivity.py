"""Sensitivity maps: the pixels through which a training row affects an output.

    d z_c(x) / d x = sum_i alpha_ic d(f_i . f(x)) / d x

The terms, one for each training row, add up to the gradient of the output.

Source: Yeh et al. 2018, arXiv:1811.09720, section 4.4; averaged over noisy copies of the image as
in Smilkov et al. 2017, "SmoothGrad", arXiv:1706.03825, section 3. (The authors' notebooks map
something else: the gradient of the five best products together, without alpha.)
"""

import torch
from torch import Tensor

from scoring.representers.layer import Layer

_MAPS_AT_ONCE = 32  # in one backward pass


def sensitivity_maps(
    layer: Layer,
    image: Tensor,
    features: Tensor,
    alpha: Tensor,
    *,
    copies: int = 1,
    noise: float = 0.0,
    seed: int = 0,
) -> Tensor:
    """Compute the share of each of K training rows in the gradient of an output.

    Args:
        layer: a layer of a frozen net in eval mode.
        image: [D, H, W] float32 in [0, 1].
        features: [K, D] float32 of the training rows.
        alpha: [K] float64 of the training rows, for the output.
        copies: number of noisy copies to average over.
        noise: standard deviation of the noise, in units of pixels.
        seed: seed of the noise.

    Returns:
        [K, D, H, W] float32, in units of the output per unit of pixel.
    """
    draws = torch.Generator().manual_seed(seed)
    pulls = alpha.unsqueeze(1) * features.double()
    maps = torch.zeros(len(features), *image.shape, device=image.device)
    for _ in range(copies):
        noisy = image + noise * torch.randn(image.shape, generator=draws).to(image.device)
        maps += _maps(layer, noisy, pulls.float().to(image.device))
    return maps / copies


def _maps(layer: Layer, image: Tensor, pulls: Tensor) -> Tensor:
    """Return d(pull_k . f(x)) / d x for each row of pulls [K, D]: maps [K, D, H, W]."""
    with torch.enable_grad():
        images = image.detach().unsqueeze(0).requires_grad_()
        features = layer.capture(images).features
        parts = [
            torch.autograd.grad(
                features,
                images,
                chunk.unsqueeze(1),
                retain_graph=True,
                is_grads_batched=True,
            )[0].squeeze(1)
            for chunk in torch.split(pulls, _MAPS_AT_ONCE)
        ]
    return torch.cat(parts)
