"""Adversarial robustness in steps: how long a basic iterative attack takes to change the class.

    x_0 = x,    x_t = clip(x_{t-1} + step * sign(grad L(f(x_{t-1}), argmax f(x))), 0, 1)
    t = the first with argmax f(x_t) != argmax f(x) = r,    m_t = z_r - max_{c != r} z_c at x_t
    adv_steps(x) = t - 1 + m_{t-1} / (m_{t-1} - m_t)

L = cross-entropy, z = logits. Range [0, max_steps], in iterations; high = prototypical. Multiplied
by `step`, it is roughly an upper bound of the L-infinity distance. No change after `max_steps`, or
a point that no longer moves: NaN, "no_adversarial_found", which ranks as most prototypical.

The last iteration counts by the share of it that was needed, assuming that the lead m falls evenly
within it. Rounded up, the value is the count t. At this step, whole counts would leave one pair in
forty of Fashion-MNIST tied, and half of all pairs of CIFAR-10, whose nets give way within one
iteration.

We differentiate log sum_{c != r} e^{z_c} - z_r. Cross-entropy grows with it, so the signs are the
same, but it does not vanish where the model is sure.

Source: Stock & Cisse, "ConvNets and ImageNet Beyond Accuracy: Understanding Mistakes and Uncovering
Biases", ECCV 2018, arXiv:1711.11443, as adopted by Carlini, Erlingsson & Papernot, "Prototypical
Examples in Deep Learning: Metrics, Characteristics, and Utility" (2019 submission;
arXiv:1910.13427), section 2.1. We differ: the size of the step, the share of the last iteration.
Cost: one forward and one backward pass per iteration and example, until its class changes.
"""

from dataclasses import dataclass
from functools import partial
from typing import get_args

import numpy as np
import torch
from torch import Tensor, nn

from scoring.arrays import Floats
from scoring.attacks.common import Reference, check_choice, check_positive, score_attack
from scoring.spec import Batch, Columns, ModelMetric, Passes
from scoring.statuses import NO_ADVERSARIAL

_USUAL_DISTANCE = 0.1  # L-infinity distance of digits, assumed when planning the cost


@dataclass(frozen=True, kw_only=True)
class Config:
    """Size and number of steps."""

    step: float = 0.002
    """Change of every pixel per iteration, pixels in [0, 1]; 0.002 is half an 8-bit grey level."""
    max_steps: int = 500
    """Iterations before giving up; the default reaches across [0, 1]."""
    reference: Reference = "prediction"
    """The class to leave; "label" gives 0 to examples that are already misclassified."""

    def __post_init__(self) -> None:
        check_choice("reference", self.reference, get_args(Reference))
        check_positive(step=self.step, max_steps=self.max_steps)


def steps_to_change(config: Config, model: nn.Module, images: Tensor, classes: Tensor) -> Floats:
    """Count the iterations until the class changes.

    Args:
        config: size and number of steps.
        model: returns logits [n, C]; its parameters take no gradient.
        images: [n, D, H, W] float32 in [0, 1].
        classes: [n] int64, the class that the model predicts for each image.

    Returns:
        [n] float64, NaN where the class did not change.
    """
    steps = np.full(len(images), np.nan)
    left = torch.arange(len(images), device=images.device)  # examples still under attack
    before = torch.zeros(len(images), device=images.device)
    for taken in range(config.max_steps + 1):
        lead, changed, direction = _ascent(model, images, classes[left])
        share = torch.where(before > lead, before / (before - lead), 1).double()
        steps[left[changed].cpu().numpy()] = taken - 1 + share[changed].cpu().numpy()
        moved = (images + config.step * direction).clamp(0, 1)
        going = ~changed & (moved != images).flatten(1).any(dim=1)
        left, images, before = left[going], moved[going], lead[going]
        if not len(left):
            break
    return steps


@torch.enable_grad()
def _ascent(model: nn.Module, images: Tensor, classes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the lead of the class [n], whether it changed [n], the gradient signs [n, D, H, W]."""
    images = images.detach().clone().requires_grad_()
    logits = model(images)
    own = classes.unsqueeze(1)
    others = logits.scatter(1, own, -torch.inf)
    held = logits.gather(1, own).squeeze(1)
    (gradient,) = torch.autograd.grad((others.logsumexp(dim=1) - held).sum(), images)
    lead = (held - others.amax(dim=1)).detach()
    return lead, logits.argmax(dim=1) != classes, gradient.sign()


def score(config: Config, batch: Batch, model: nn.Module) -> Columns:
    """Count the iterations until the class of each of N examples changes, [N] float64."""
    return score_attack(batch, model, config.reference, partial(steps_to_change, config))


def passes(config: Config) -> Passes:
    """Return the cost of an image at a usual distance; an iteration is one pass each way."""
    steps = min(config.max_steps, _USUAL_DISTANCE / config.step)
    return Passes(forward=steps + 2, backward=steps + 1)


METRIC = ModelMetric(
    name="adv_steps",
    summary="iterations of a basic iterative attack until the class changes",
    purpose="robustness",
    version=2,
    unit="iterations",
    prototypical="high",
    source="Carlini et al. 2019, section 2.1",
    config=Config,
    statuses={NO_ADVERSARIAL: "prototypical"},
    score=score,
    passes=passes,
    moves_pixels=True,
)
