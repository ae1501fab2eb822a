"""One optimizer step on one batch, and the learning rate it takes.

A step is a function from images [B, D, H, W] and labels [B] to what the batch showed, so that
plain and private training share one loop.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from scoring.run_spec import Recipe


class Seen(NamedTuple):
    """What a step saw before it changed the weights; scalars on the training device."""

    loss: Tensor
    """Sum of the cross-entropy over the batch, nats."""
    right: Tensor
    """How many rows were classified right."""


Step = Callable[[Tensor, Tensor], Seen]


def learning_rate(recipe: Recipe, epoch: int, step: int) -> float:
    """The rate in `epoch` (from 1) after `step` optimizer steps since the start."""
    passed = sum(epoch > milestone for milestone in recipe.milestones)
    dropped = recipe.learning_rate * recipe.gamma**passed
    return dropped / (1 + recipe.learning_rate_decay * step)


def optimizer_for(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimizer over all of the model's parameters."""
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            model.parameters(),
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
        )
    return torch.optim.Adam(
        model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
    )


def plain_step(model: nn.Module, optimizer: torch.optim.Optimizer, *, bfloat16: bool) -> Step:
    """Gradient descent on the batch's mean cross-entropy, with bf16 autocast if asked for."""

    def step(images: Tensor, labels: Tensor) -> Seen:
        with torch.autocast(images.device.type, torch.bfloat16, enabled=bfloat16):
            logits = model(images)
        loss = cross_entropy(logits.float(), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return Seen(loss.detach() * len(labels), right(logits, labels))

    return step


def right(logits: Tensor, labels: Tensor) -> Tensor:
    """How many of the rows [B, C] have their largest logit at the label [B]."""
    return (logits.detach().argmax(1) == labels).sum()
