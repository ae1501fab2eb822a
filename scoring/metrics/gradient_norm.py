"""Gradient norm: how strongly an example still pulls at the weights after training.

    gradient_norm(x) = || d L(f_w(x), label) / d w ||_2

L = cross-entropy, w = weights of the last linear layer, or all weights; eval mode. Range [0, inf);
low = prototypical. No label: NaN, "unlabelled".

The gradient of the last layer z = W h + b is (f(x) - onehot(label)) (h, 1)^T, an outer product, so
its norm is exactly || f(x) - onehot(label) || sqrt(||h||^2 + 1).

Source: Paul, Ganguli & Dziugaite, "Deep Learning on a Data Diet: Finding Important Examples Early
in Training", NeurIPS 2021, arXiv:2107.07075, section 2 (GraNd); at the end of training it is one of
the straw men of Carlini, Erlingsson & Papernot, "Prototypical Examples in Deep Learning: Metrics,
Characteristics, and Utility" (2019 submission; arXiv:1910.13427), section 2. We differ: the last
layer alone unless `weights="all"`. Cost: one forward pass per example; with all weights, one
backward pass as well, and memory for the gradients of 16 examples.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from scoring.attacks.common import check_choice, frozen
from scoring.folds.dynamics import error_norm
from scoring.spec import Batch, Columns, ModelMetric, Passes
from scoring.statuses import UNLABELLED

_TOGETHER = 16  # examples whose weight gradients are held at once


@dataclass(frozen=True, kw_only=True)
class Config:
    """Which gradient."""

    weights: Literal["last", "all"] = "last"
    """Weights to differentiate with respect to: the last linear layer's, or all."""

    def __post_init__(self) -> None:
        check_choice("weights", self.weights, ("last", "all"))


def of_last_layer(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Return the norms [N] of the gradients of the last linear layer, in eval mode."""
    layer = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    inputs: list[Tensor] = []
    hook = layer.register_forward_hook(lambda _module, args, _output: inputs.append(args[0]))
    try:
        logits = model(images).double()
    finally:
        hook.remove()
    squares = inputs[0].double().square().sum(dim=1) + (layer.bias is not None)
    return error_norm(logits, labels) * squares.sqrt()


def of_all_weights(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Return the norms [N] of the gradients of all weights, in eval mode."""
    weights = {name: weight.detach() for name, weight in model.named_parameters()}

    def loss(weights: dict[str, Tensor], image: Tensor, label: Tensor) -> Tensor:
        logits = functional_call(model, weights, (image.unsqueeze(0),))
        return nn.functional.cross_entropy(logits, label.unsqueeze(0))

    def norm(image: Tensor, label: Tensor) -> Tensor:
        gradients = grad(loss)(weights, image, label)
        squares = torch.stack([g.double().square().sum() for g in gradients.values()])
        return squares.sum().sqrt()

    norms: Tensor = vmap(norm, chunk_size=_TOGETHER)(images, labels)
    return norms


def score(config: Config, batch: Batch, model: nn.Module) -> Columns:
    """Return the gradient norm of each of N examples, [N] float64."""
    if batch.inputs is None:
        raise ValueError("expected a batch with images, got none")
    unlabelled = batch.labels < 0
    norms = np.zeros(len(unlabelled))
    if len(unlabelled):
        labels = torch.from_numpy(batch.labels).to(batch.inputs.device).clamp(min=0)
        measure = of_last_layer if config.weights == "last" else of_all_weights
        with frozen(model), torch.no_grad():
            norms = measure(model, batch.inputs, labels).cpu().numpy()
    return Columns(
        value=np.where(unlabelled, np.nan, norms), status=np.where(unlabelled, UNLABELLED, "")
    )


def passes(config: Config) -> Passes:
    """Return one forward pass, and one backward pass for all weights."""
    return Passes(forward=1, backward=float(config.weights == "all"))


METRIC = ModelMetric(
    name="gradient_norm",
    summary="norm of the loss gradient with respect to the weights, after training",
    purpose="hard",
    version=1,
    unit="L2 norm",
    prototypical="low",
    source="Paul et al. 2021, section 2",
    config=Config,
    score=score,
    passes=passes,
)
