"""Adversarial robustness in L-infinity: the smallest change of any pixel that changes the class.

    adv_linf(x) = min ||d||_inf   over the perturbations found with argmax f(x + d) != argmax f(x),
                                  x + d in [0, 1]

Range [0, 1], in units of pixels in [0, 1], before the net's own normalisation; high = prototypical.
A perturbation that was found is an upper bound of the smallest: more work can only lower the value.
None found within the budget: NaN, "no_adversarial_found".

Attacks, both through Foolbox:
- `fmn`, the default: Pintor et al., "Fast Minimum-norm Adversarial Attacks through Adaptive Norm
  Constraints", NeurIPS 2021, arXiv:2102.12827. Its radius adapts to each example by itself. Where
  a net is linear it can land on the boundary to the last bit and stay there: what it does not move
  across is left to `deepfool`, which overshoots.
- `deepfool`: Moosavi-Dezfooli et al., CVPR 2016, arXiv:1511.04599. Often 10 % too long or more.

Source: Carlini, Erlingsson & Papernot, "Prototypical Examples in Deep Learning: Metrics,
Characteristics, and Utility" (2019 submission; arXiv:1910.13427), section 2.1. We differ: attacks
published since, and the way to the point found is bisected. Cost: `steps` forward and backward
passes and 12 forward; at most nine times the `steps` for `deepfool`.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import numpy as np
import torch
from foolbox.attacks.deepfool import LinfDeepFoolAttack
from foolbox.attacks.fast_minimum_norm import LInfFMNAttack
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

Attack = Literal["fmn", "deepfool"]
_CANDIDATES = 10  # likeliest classes that DeepFool aims at, its own among them


@dataclass(frozen=True, kw_only=True)
class Config:
    """How the perturbation is looked for."""

    attack: Attack = "fmn"
    steps: int = 50
    """Gradient steps."""
    reference: Reference = "prediction"
    """Class to leave; "label" gives 0 to what is already misclassified."""

    def __post_init__(self) -> None:
        check_choice("attack", self.attack, get_args(Attack))
        check_choice("reference", self.reference, get_args(Reference))
        check_positive(steps=self.steps)


def distance(config: Config, model: nn.Module, images: Tensor, classes: Tensor) -> Floats:
    """L-infinity norm of the smallest perturbation found.

    Args:
        config: the attack and its budget.
        model: returns logits [n, C]; its parameters take no gradient.
        images: [n, D, H, W] float32 in [0, 1].
        classes: [n] int64, the class that the model gives each image.

    Returns:
        [n] float64, NaN where no adversarial was found.
    """
    deepfool = LinfDeepFoolAttack(steps=config.steps, candidates=_CANDIDATES)
    if config.attack == "deepfool":
        return foolbox_distance(deepfool, math.inf, model, images, classes)
    fmn = LInfFMNAttack(steps=config.steps)
    found = foolbox_distance(fmn, math.inf, model, images, classes)
    missed = np.isnan(found)
    if missed.any():
        rows = torch.from_numpy(missed).to(images.device)
        found[missed] = foolbox_distance(deepfool, math.inf, model, images[rows], classes[rows])
    return found


def score(config: Config, batch: Batch, model: nn.Module) -> Columns:
    """Smallest L-infinity perturbation found for each of N examples, [N] float64."""
    return score_attack(batch, model, config.reference, partial(distance, config))


def passes(config: Config) -> Passes:
    """Of the whole budget; `deepfool` may stop earlier."""
    return attack_passes(config.steps * (1 if config.attack == "fmn" else _CANDIDATES - 1))


METRIC = MetricSpec(
    name="adv_linf",
    summary="smallest L-infinity perturbation that changes the class",
    version=1,
    signal=Signal.BASE,
    config=Config,
    unit="L-infinity norm, pixels in [0, 1]",
    prototypical="high",
    source="Carlini et al. 2019, section 2.1",
    passes=passes,
    score=score,
)
