"""One optimizer step on one batch, and its learning rate.

A step is a function of inputs and labels [B] that updates the weights and returns the loss and
accuracy before the update. Plain and private training share one loop this way.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from scoring.run_spec import Recipe


class BatchResult(NamedTuple):
    """Result of a batch of B rows before the weights change, on the training device."""

    loss: Tensor
    """Sum of the cross-entropy over the batch, in nats."""
    correct: Tensor
    """Number of rows classified correctly."""
    logits: Tensor | None = None
    """[B, C] as the step saw them, in training mode; None if the step is private."""


Step = Callable[[Tensor, Tensor], BatchResult]
"""(images [B, D, H, W] or token ids [B, L], labels [B]) -> result."""


def learning_rate(recipe: Recipe, epoch: int, step: int, steps: int) -> float:
    """Return the learning rate in `epoch` (from 1) after `step` optimizer steps of `steps`."""
    passed = sum(epoch > milestone for milestone in recipe.milestones)
    rate = recipe.learning_rate * recipe.gamma**passed / (1 + recipe.learning_rate_decay * step)
    if not recipe.peak:
        return rate
    done = (step + 1) / (steps + 1)
    return rate * min(done / recipe.peak, (1 - done) / (1 - recipe.peak))


def optimizer_for(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Make the recipe's optimizer for all parameters of the model."""
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            model.parameters(),
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            nesterov=recipe.nesterov,
            weight_decay=recipe.weight_decay,
        )
    return torch.optim.Adam(
        model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
    )


def plain_step(model: nn.Module, optimizer: torch.optim.Optimizer, *, bfloat16: bool) -> Step:
    """Return a step of gradient descent on the batch's mean cross-entropy."""

    def step(inputs: Tensor, labels: Tensor) -> BatchResult:
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=bfloat16):
            logits = model(inputs)
        loss = cross_entropy(logits.float(), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        logits = logits.detach()
        return BatchResult(loss.detach() * len(labels), count_correct(logits, labels), logits)

    return step


def count_correct(logits: Tensor, labels: Tensor) -> Tensor:
    """Count the rows of logits [B, C] whose largest value is at the label [B]."""
    return (logits.detach().argmax(1) == labels).sum()
