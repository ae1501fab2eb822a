"""A step of DP-SGD: clip each example's gradient and add noise to the sum.

Abadi et al., "Deep Learning with Differential Privacy" (2016, arXiv:1607.00133), through Opacus
with ghost clipping (Li et al. 2021, arXiv:2110.05679): a first backward pass gives the norm of
each example's gradient, a second the sum of the clipped gradients. We use it for every net: on the
paper's CNN it takes about 2x the time of plain training, where Opacus' default hooks take 5x to
10x, and on small nets it is no slower than those hooks.

Everything is float32. In bf16, rounding of the sum could change by more than one example's clipped
gradient, and the noise would no longer cover what one example can change.
"""

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from scoring.errors import UserError
from scoring.training.steps import BatchResult, Step, count_correct

_CHUNK_BYTES = {"cpu": 12 << 20, "cuda": 1 << 30}  # of per-example gradients; on a CPU, its cache
_CHUNK_ROWS = {"cpu": (16, 256), "cuda": (16, 4096)}  # fewest and most rows at a time


def private_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    noise_multiplier: float,
    max_grad_norm: float,
    expected_rows: float,
    stream: torch.Generator,
) -> Step:
    """Return a step of DP-SGD: sum clipped gradients, add noise, divide by the expected rows.

    Args:
        model: net on its device, without BatchNorm; hooks are added to its layers.
        optimizer: takes the step with the noisy mean gradient.
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

    def step(inputs: Tensor, labels: Tensor) -> BatchResult:
        results = [_zero_gradients(noisy, inputs.device)]
        starts = range(0, max(1, len(labels)), chunk_rows)
        for start in starts:
            noisy.signal_skip_step(do_skip=start != starts[-1])  # only sum, until the last chunk
            chunk = slice(start, start + chunk_rows)
            if len(labels):
                results.append(_sum_clipped(module, loss, inputs[chunk], labels[chunk]))
            noisy.step()
        return BatchResult(
            loss=torch.stack([result.loss for result in results]).sum(),
            correct=torch.stack([result.correct for result in results]).sum(),
        )

    return step


def _sum_clipped(
    module: nn.Module,
    loss: Any,  # noqa: ANN401
    inputs: Tensor,
    labels: Tensor,
) -> BatchResult:
    """Leave the sum of the examples' clipped gradients in each parameter's `grad`."""
    logits = module(inputs)
    losses = loss(logits, labels)
    with warnings.catch_warnings():
        # Inputs need no gradient, so the first layer's hook gets output gradients only. Opacus
        # needs no more than that.
        warnings.filterwarnings("ignore", message="Full backward hook is firing")
        losses.backward()
    return BatchResult(losses.loss_per_sample.detach().sum(), count_correct(logits, labels))


def _zero_gradients(noisy: Any, device: torch.device) -> BatchResult:  # noqa: ANN401
    """Set gradients to zero, so that an empty batch is a step of pure noise; return its result."""
    noisy.zero_grad()
    for parameter in noisy.params:
        parameter.grad = torch.zeros_like(parameter)
    no_rows = torch.zeros((), dtype=torch.int64, device=device)
    return BatchResult(torch.zeros((), device=device), no_rows)


def _hooked(model: nn.Module, max_grad_norm: float) -> Any:  # noqa: ANN401
    """Wrap `model` with Opacus' hooks for ghost clipping."""
    from opacus.grad_sample.grad_sample_module_fast_gradient_clipping import (
        GradSampleModuleFastGradientClipping,
    )
    from opacus.validators import ModuleValidator

    problems = ModuleValidator.validate(model)
    problems += GradSampleModuleFastGradientClipping.validate(model)
    if problems:
        reason = str(problems[0]).split(". ")[0]
        raise UserError(f"--net: expected layers that do not mix examples, got: {reason}")
    for part in model.modules():
        if getattr(part, "inplace", False) is True:
            setattr(part, "inplace", False)  # noqa: B010 # hooked outputs must not change in place
    module = GradSampleModuleFastGradientClipping(model, max_grad_norm=max_grad_norm)
    module.NORM_SAMPLERS = {**module.NORM_SAMPLERS, nn.Conv2d: _convolution_norms}
    return module


def _convolution_norms(
    layer: nn.Conv2d, activations: list[Tensor], backprops: Tensor
) -> dict[Tensor, Tensor]:
    """Return the norms [N] of each example's gradient of a convolution's weight and bias.

    They come from the gradients themselves or, with few positions and many channels, from two Gram
    matrices (Bu et al. 2022, arXiv:2205.10683, "mixed ghost clipping").

    Opacus 1.6 does neither: it keeps the gradients, and it cuts patches by strides that are right
    for NCHW only. For channels-last activations, including single-channel images that merely count
    as such, it silently gives wrong norms. Hence the copy to a contiguous layout.
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
    errors = backprops.reshape(len(images), layer.out_channels, -1)  # [N, outputs, positions]
    inputs, positions = patches.shape[1:]
    if positions * (inputs + layer.out_channels) < inputs * layer.out_channels:
        squares = (patches.mT @ patches).mul_(errors.mT @ errors).sum((1, 2)).clamp_(min=0)
        norms: dict[Tensor, Tensor] = {layer.weight: squares.sqrt()}
    else:
        norms = {layer.weight: (errors @ patches.mT).flatten(1).norm(dim=1)}
    if layer.bias is not None:
        norms[layer.bias] = errors.sum(2).norm(dim=1)
    return norms


def _chunk_rows(model: nn.Module) -> int:
    """Return how many rows to process at a time to keep any layer's per-example gradients small.

    Linear layers do not count, because ghost clipping never forms their gradients.
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
    fewest, most = _CHUNK_ROWS[device]
    return max(fewest, min(most, _CHUNK_BYTES[device] // largest))
