"""Gradient norm: how hard an example still pulls at the weights when training is over.

    gradient_norm(x) = || d L(f_w(x), label) / d w ||_2

L = cross-entropy, w = weights of the last linear layer, or all weights; eval mode. Range [0, inf);
low = prototypical. No label: NaN, "unlabelled".

Of the last layer z = W h + b the gradient is (f(x) - onehot(label)) (h, 1)^T, an outer product: its
norm is || f(x) - onehot(label) || sqrt(||h||^2 + 1), exactly.

Source: Paul, Ganguli & Dziugaite, "Deep Learning on a Data Diet: Finding Important Examples Early
in Training", NeurIPS 2021, arXiv:2107.07075, section 2 (GraNd); at the end of training it is one of
the straw men of Carlini, Erlingsson & Papernot, "Prototypical Examples in Deep Learning: Metrics,
Characteristics, and Utility" (2019 submission; arXiv:1910.13427), section 2. We differ: the last
layer alone unless `weights="all"`. Cost: one forward pass; with all weights, one backward pass more
and memory for the gradients of 16 examples.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from scoring.attacks.common import check_choice, frozen
from scoring.spec import Batch, Columns, MetricSpec, Passes, Signal

UNLABELLED = "unlabelled"
_TOGETHER = 16  # examples whose weight gradients are held


@dataclass(frozen=True, kw_only=True)
class Config:
    """Whose gradient."""

    weights: Literal["last", "all"] = "last"
    """Of the last linear layer, or all."""

    def __post_init__(self) -> None:
        check_choice("weights", self.weights, ("last", "all"))


def of_last_layer(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Norms [N] of the gradients over the last linear layer of a model in eval mode."""
    layer = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    inputs: list[Tensor] = []
    hook = layer.register_forward_hook(lambda _module, args, _output: inputs.append(args[0]))
    try:
        answers = model(images).double().softmax(dim=1)
    finally:
        hook.remove()
    errors = answers.scatter_add(1, labels.unsqueeze(1), -torch.ones_like(answers[:, :1]))
    squares = inputs[0].double().square().sum(dim=1) + (layer.bias is not None)
    norms: Tensor = torch.linalg.vector_norm(errors, dim=1) * squares.sqrt()
    return norms


def of_all_weights(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Norms [N] of the gradients over all weights of a model in eval mode."""
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
    """Norm of each of N examples, [N] float64."""
    if batch.inputs is None:
        raise ValueError("expected a batch with images, got none")
    unlabelled = batch.labels < 0
    norms = np.zeros(len(unlabelled))
    if len(unlabelled):
        labels = torch.from_numpy(batch.labels).to(batch.inputs.device).clamp(min=0)
        of = of_last_layer if config.weights == "last" else of_all_weights
        with frozen(model), torch.no_grad():
            norms = of(model, batch.inputs, labels).cpu().numpy()
    return Columns(
        value=np.where(unlabelled, np.nan, norms), status=np.where(unlabelled, UNLABELLED, "")
    )


def passes(config: Config) -> Passes:
    """One of each, backward where all weights are asked for."""
    return Passes(forward=1, backward=float(config.weights == "all"))


METRIC = MetricSpec(
    name="gradient_norm",
    summary="norm of the loss gradient over the weights, after training",
    version=1,
    signal=Signal.BASE,
    config=Config,
    unit="L2 norm",
    prototypical="low",
    source="Paul et al. 2021, section 2",
    passes=passes,
    score=score,
)
