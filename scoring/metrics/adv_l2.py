"""Adversarial robustness: the smallest Euclidean change of an image that changes its class.

    adv_l2(x) = min ||d||_2   over the perturbations found with argmax f(x + d) != argmax f(x),
                              x + d in [0, 1]

Range [0, sqrt(D H W)], in units of pixels in [0, 1], before the net's own normalisation; high =
prototypical. A perturbation that was found is an upper bound of the smallest: more work can only
lower the value. None found within the budget: NaN, "no_adversarial_found".

Attacks, all through Foolbox:
- `ddn`, the default: Rony et al., "Decoupling Direction and Norm for Efficient Gradient-Based L2
  Adversarial Attacks and Defenses", CVPR 2019, arXiv:1811.09600. Closest to the smallest for the
  work it takes.
- `carlini_wagner`: Carlini & Wagner, "Towards Evaluating the Robustness of Neural Networks", IEEE
  S&P 2017, arXiv:1608.04644, which the paper used. It wants `steps=1000, cw_rate=0.01`: dear.
- `deepfool`: Moosavi-Dezfooli et al., CVPR 2016, arXiv:1511.04599. Often 10 % too long or more.

Source: Carlini, Erlingsson & Papernot, "Prototypical Examples in Deep Learning: Metrics,
Characteristics, and Utility" (2019 submission; arXiv:1910.13427), section 2.1. We differ: DDN by
default; the way to the point found is bisected; Carlini-Wagner without early abort, which would
tie an example to its batch; and DDN sees logits that do not saturate (`_Unsaturated`). Cost:
`steps` forward and backward passes and 12 forward; nine times the `steps` for `carlini_wagner` and,
at most, for `deepfool`.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import torch
from foolbox.attacks.base import MinimizationAttack
from foolbox.attacks.carlini_wagner import L2CarliniWagnerAttack
from foolbox.attacks.ddn import DDNAttack
from foolbox.attacks.deepfool import L2DeepFoolAttack
from torch import Tensor, nn

from scoring.attacks import (
    Reference,
    attack_passes,
    check_choice,
    check_positive,
    foolbox_distance,
    score_attack,
)
from scoring.spec import Batch, Columns, Floats, MetricSpec, Passes, Signal

Attack = Literal["ddn", "carlini_wagner", "deepfool"]
_CANDIDATES = 10  # likeliest classes that DeepFool aims at, its own among them
_MOST_LEAD = 4.0  # of the reference class's logit: its softmax stays clear of 1


@dataclass(frozen=True, kw_only=True)
class Config:
    """How the perturbation is looked for."""

    attack: Attack = "ddn"
    steps: int = 100
    """Gradient steps; of Carlini-Wagner, in each of its rounds."""
    reference: Reference = "prediction"
    """Class to leave; "label" gives 0 to what is already misclassified."""
    cw_rounds: int = 9
    """Carlini-Wagner: rounds of its binary search for the constant."""
    cw_rate: float = 0.05
    """Carlini-Wagner: learning rate of Adam."""
    cw_constant: float = 1e-3
    """Carlini-Wagner: weight of the change of class in the first round."""

    def __post_init__(self) -> None:
        check_choice("attack", self.attack, get_args(Attack))
        check_choice("reference", self.reference, get_args(Reference))
        check_positive(
            steps=self.steps,
            cw_rounds=self.cw_rounds,
            cw_rate=self.cw_rate,
            cw_constant=self.cw_constant,
        )


class _Unsaturated(nn.Module):
    """A model whose cross-entropy keeps its direction where float32 would lose it.

    Once the reference class leads by some 17, its softmax is 1 in float32 and the gradient of the
    cross-entropy loses that class's part; by some 100, it is zero. Lowering that one logit until it
    leads by 4 scales the exact gradient and turns it nowhere. Where the gradient vanishes all the
    same, DDN would draw noise for the batch: here it is one fixed pattern for every example.
    """

    def __init__(self, model: nn.Module, classes: Tensor) -> None:
        super().__init__()
        self.model = model
        self.classes = classes.unsqueeze(1)  # [n, 1]

    def forward(self, images: Tensor) -> Tensor:
        if images.requires_grad:
            images.register_hook(_without_zeros)  # type: ignore[no-untyped-call]
        logits: Tensor = self.model(images)
        with torch.no_grad():
            others = logits.scatter(1, self.classes, -torch.inf).amax(dim=1, keepdim=True)
            excess = (logits.gather(1, self.classes) - others - _MOST_LEAD).clamp(min=0)
        return logits.scatter_add(1, self.classes, -excess)


def _without_zeros(gradient: Tensor) -> Tensor:
    """`gradient` [n, D, H, W] with a fixed random direction in place of each zero."""
    generator = torch.Generator().manual_seed(0)
    pattern = torch.randn(gradient.shape[1:], generator=generator).to(gradient.device)
    vanished = torch.linalg.vector_norm(gradient.flatten(1), dim=1) == 0
    return torch.where(vanished.view(-1, 1, 1, 1), pattern, gradient)


def distance(config: Config, model: nn.Module, images: Tensor, classes: Tensor) -> Floats:
    """L2 norm of the smallest perturbation found.

    Args:
        config: the attack and its budget.
        model: returns logits [n, C]; its parameters take no gradient.
        images: [n, D, H, W] float32 in [0, 1].
        classes: [n] int64, the class that the model gives each image.

    Returns:
        [n] float64, NaN where no adversarial was found.
    """
    if config.attack == "ddn":
        model = _Unsaturated(model, classes).eval()
    return foolbox_distance(_attack(config), 2, model, images, classes)


def _attack(config: Config) -> MinimizationAttack:
    if config.attack == "ddn":
        return DDNAttack(steps=config.steps)
    if config.attack == "deepfool":
        return L2DeepFoolAttack(steps=config.steps, candidates=_CANDIDATES)
    return L2CarliniWagnerAttack(
        binary_search_steps=config.cw_rounds,
        steps=config.steps,
        stepsize=config.cw_rate,
        initial_const=config.cw_constant,
        abort_early=False,  # it would stop a whole batch when its summed loss stalls
    )


def score(config: Config, batch: Batch, model: nn.Module) -> Columns:
    """Smallest L2 perturbation found for each of N examples, [N] float64."""
    return score_attack(batch, model, config.reference, partial(distance, config))


def passes(config: Config) -> Passes:
    """Of the whole budget; `deepfool` may stop earlier."""
    per_step = {"ddn": 1, "carlini_wagner": config.cw_rounds, "deepfool": _CANDIDATES - 1}
    return attack_passes(config.steps * per_step[config.attack])


METRIC = MetricSpec(
    name="adv_l2",
    summary="smallest L2 perturbation that changes the class",
    version=1,
    signal=Signal.BASE,
    config=Config,
    unit="L2 norm, pixels in [0, 1]",
    prototypical="high",
    source="Carlini et al. 2019, section 2.1",
    passes=passes,
    score=score,
)
