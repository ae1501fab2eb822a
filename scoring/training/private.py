"""A step of DP-SGD: each example's gradient clipped, their sum made noisy.

Abadi et al., "Deep Learning with Differential Privacy" (2016, arXiv:1607.00133), through Opacus
with ghost clipping (Li et al. 2021, arXiv:2110.05679): a first backward pass gives the norm of
each example's gradient, a second the sum of the clipped gradients. Every net gets it: on the
paper's CNN it takes about 2x eager training where Opacus' default hooks take 5x to 10x, and on
small nets it is no slower than they are.

All in float32. In bf16 the rounding of the sum could change by more than one example's clipped
gradient, and the noise would no longer cover what one example can change.
"""

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from scoring.errors import UserError
from scoring.training.steps import Seen, Step, right

_CHUNK_BYTES = {"cpu": 12 << 20, "cuda": 1 << 30}  # of per-example gradients; a CPU's cache
_CHUNK_ROWS = {"cpu": (16, 256), "cuda": (16, 4096)}  # least and most rows at a time


def private_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    noise_multiplier: float,
    max_grad_norm: float,
    expected_rows: float,
    stream: torch.Generator,
) -> Step:
    """DP-SGD as a step: clipped gradients are summed, made noisy, divided by the expected rows.

    Args:
        model: net on its device, without BatchNorm; hooks are added to its layers.
        optimizer: takes the step, given the noisy mean gradient.
        noise_multiplier: standard deviation of the noise in units of `max_grad_norm`.
        max_grad_norm: L2 norm that each example's gradient is clipped to.
        expected_rows: expected size of a Poisson batch.
        stream: generator of the noise, on the model's device.

    Raises:
        UserError: the net has layers whose gradients mix examples.
    """
    from opacus.optimizers import DPOptimizerFastGradientClipping
    from opacus.utils.fast_gradient_clipping_utils import DPLossFastGradientClipping

    module = _hooked(model, max_grad_norm)
    noisy: Any = DPOptimizerFastGradientClipping(
        optimizer,
        noise_multiplier=noise_multiplier,
        max_grad_norm=max_grad_norm,
        expected_batch_size=expected_rows,
        generator=stream,
    )
    loss = DPLossFastGradientClipping(module, noisy, nn.CrossEntropyLoss())
    chunk_rows = _chunk_rows(model)

    def step(images: Tensor, labels: Tensor) -> Seen:
        seen = [_cleared(noisy, images.device)]
        starts = range(0, max(1, len(labels)), chunk_rows)
        for start in starts:
            noisy.signal_skip_step(do_skip=start != starts[-1])  # sum up, step at the last
            chunk = slice(start, start + chunk_rows)
            if len(labels):
                seen.append(_sum_clipped(module, loss, images[chunk], labels[chunk]))
            noisy.step()
        return Seen(*(torch.stack(values).sum() for values in zip(*seen, strict=True)))

    return step


def _sum_clipped(module: nn.Module, loss: Any, images: Tensor, labels: Tensor) -> Seen:  # noqa: ANN401
    """Leave the sum of the examples' clipped gradients in each parameter's `grad`."""
    logits = module(images)
    losses = loss(logits, labels)
    with warnings.catch_warnings():
        # Images need no gradient, so the first layer's hook sees outputs only: enough for Opacus.
        warnings.filterwarnings("ignore", message="Full backward hook is firing")
        losses.backward()
    return Seen(losses.loss_per_sample.detach().sum(), right(logits, labels))


def _cleared(noisy: Any, device: torch.device) -> Seen:  # noqa: ANN401
    """Zero gradients, so that an empty batch is a step of noise alone."""
    noisy.zero_grad()
    for parameter in noisy.params:
        parameter.grad = torch.zeros_like(parameter)
    return Seen(torch.zeros((), device=device), torch.zeros((), dtype=torch.int64, device=device))


def _hooked(model: nn.Module, max_grad_norm: float) -> Any:  # noqa: ANN401
    """`model` with Opacus' hooks for ghost clipping."""
    from opacus.grad_sample.grad_sample_module_fast_gradient_clipping import (
        GradSampleModuleFastGradientClipping,
    )
    from opacus.validators import ModuleValidator

    problems = ModuleValidator.validate(model)
    problems += GradSampleModuleFastGradientClipping.validate(model)
    if problems:
        reason = str(problems[0]).split(". ")[0]
        raise UserError(f"--net: expected layers that keep examples apart, got: {reason}")
    for part in model.modules():
        if getattr(part, "inplace", False) is True:
            setattr(part, "inplace", False)  # noqa: B010 # hooked outputs must stay as they are
    module = GradSampleModuleFastGradientClipping(model, max_grad_norm=max_grad_norm)
    module.NORM_SAMPLERS = {**module.NORM_SAMPLERS, nn.Conv2d: _convolution_norms}
    return module


def _convolution_norms(
    layer: nn.Conv2d, activations: list[Tensor], backprops: Tensor
) -> dict[Tensor, Tensor]:
    """Norms [N] of the examples' gradients of a convolution's weight and bias.

    From the gradients themselves or, where positions are few and channels many, from two Gram
    matrices (Bu et al. 2022, arXiv:2205.10683, "mixed ghost clipping").

    Opacus 1.6 has neither: it keeps the gradients, and cuts patches by strides that hold for NCHW
    alone. Of channels-last activations, even of single-channel images that only look so, it gives
    wrong norms in silence. Hence the copy.
    """
    from opacus.grad_sample.conv import compute_conv_grad_sample
    from opacus.utils.tensor_utils import unfold2d

    images = activations[0].clone(memory_format=torch.contiguous_format)
    if layer.groups > 1:
        gradients = compute_conv_grad_sample(layer, [images], backprops)
        return {parameter: g.flatten(1).norm(dim=1) for parameter, g in gradients.items()}
    patches = unfold2d(
        images,
        kernel_size=layer.kernel_size,
        padding=layer.padding,
        stride=layer.stride,
        dilation=layer.dilation,
    )  # [N, inputs, positions]
    back = backprops.reshape(len(images), layer.out_channels, -1)  # [N, outputs, positions]
    inputs, positions = patches.shape[1:]
    if positions * (inputs + layer.out_channels) < inputs * layer.out_channels:
        squares = (patches.mT @ patches).mul_(back.mT @ back).sum((1, 2)).clamp_(min=0)
        norms: dict[Tensor, Tensor] = {layer.weight: squares.sqrt()}
    else:
        norms = {layer.weight: (back @ patches.mT).flatten(1).norm(dim=1)}
    if layer.bias is not None:
        norms[layer.bias] = back.sum(2).norm(dim=1)
    return norms


def _chunk_rows(model: nn.Module) -> int:
    """Rows at a time, so that the per-example gradients of any one layer stay within bounds.

    Linear layers do not count: ghost clipping never makes theirs.
    """
    device = next(model.parameters()).device.type
    largest = max(
        (
            parameter.nbytes
            for part in model.modules()
            if not isinstance(part, nn.Linear)
            for parameter in part.parameters(recurse=False)
        ),
        default=1,
    )
    least, most = _CHUNK_ROWS[device]
    return max(least, min(most, _CHUNK_BYTES[device] // largest))
