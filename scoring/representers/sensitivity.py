"""Sensitivity maps: which pixels make a training row pull at an output.

    d z_c(x) / d x = sum_i alpha_ic d(f_i . f(x)) / d x

The parts, one a training row, add up to the gradient of the output.

Source: Yeh et al. 2018, arXiv:1811.09720, section 4.4; averaged over noisy copies of the image as
Smilkov et al. 2017, "SmoothGrad", arXiv:1706.03825, section 3. (The authors' notebooks map
something else: the gradient of the five best products together, without alpha.)
"""

import torch
from torch import Tensor

from scoring.representers.layer import Layer

_TOGETHER = 32  # maps made by one backward pass


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
    """The part of each of K training rows in the gradient of an output.

    Args:
        layer: of a frozen net in eval mode.
        image: [D, H, W] float32 in [0, 1].
        features: [K, D] float32, of training rows.
        alpha: [K] float64, theirs for the output.
        copies: noisy copies to average over.
        noise: standard deviation of the noise, in pixels' units.
        seed: of the noise.

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
    """d(pull_k . f(x)) / d x of each row of pulls [K, D]: [K, D, H, W]."""
    with torch.enable_grad():
        images = image.detach().unsqueeze(0).requires_grad_()
        seen = layer.see(images).features
        parts = [
            torch.autograd.grad(
                seen,
                images,
                some.unsqueeze(1),
                retain_graph=True,
                is_grads_batched=True,
            )[0].squeeze(1)
            for some in torch.split(pulls, _TOGETHER)
        ]
    return torch.cat(parts)
