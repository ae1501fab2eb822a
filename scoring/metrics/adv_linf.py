"""Adversarial robustness in L-infinity: the smallest change of any pixel that changes the class.

    adv_linf(x) = min ||d||_inf   over the perturbations found with argmax f(x + d) != argmax f(x),
                                  x + d in [0, 1]

Range [0, 1], in units of pixels in [0, 1], before the net's own normalisation; high = prototypical.
A perturbation that was found is an upper bound of the smallest: more work can only lower the value.
None found within the budget: NaN, "no_adversarial_found", which ranks as most prototypical.

Attacks:
- `race`, the default: `scoring.attacks.boundary_race`, with `effort` as its dial. Closer on
  average than `fmn` in 100 steps, in half the passes, because it tries several classes.
- `fmn`, from Foolbox like `deepfool`: Pintor et al., "Fast Minimum-norm Adversarial Attacks through
  Adaptive Norm Constraints", NeurIPS 2021, arXiv:2102.12827. Where a net is linear it can land
  exactly on the boundary and stay there: examples that it does not move across are left to
  `deepfool`, which overshoots.
- `deepfool`: Moosavi-Dezfooli et al., CVPR 2016, arXiv:1511.04599. Often 10 % too long or more.

Source: Carlini, Erlingsson & Papernot, "Prototypical Examples in Deep Learning: Metrics,
Characteristics, and Utility" (2019 submission; arXiv:1910.13427), section 2.1. We differ: our own
attack by default; the line to a point that Foolbox found is bisected. Cost per example: about 48
forward and 44 backward passes for `race` (21 each with effort "fast", 250 and 230 with "thorough"),
most of them in bfloat16 where that is faster; `steps` forward and backward passes plus 12 forward
for `fmn`; at most nine times `steps` for `deepfool`.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from scoring.arrays import Floats
from scoring.attacks.boundary_race import race_distance
from scoring.attacks.common import (
    Reference,
    check_choice,
    check_positive,
    foolbox_passes,
    score_attack,
)
from scoring.attacks.efforts import EFFORTS, EffortName
from scoring.attacks.norms import LINF
from scoring.spec import Batch, Columns, ModelMetric, Passes
from scoring.statuses import NO_ADVERSARIAL

Attack = Literal["race", "fmn", "deepfool"]
_CANDIDATES = 10  # most likely classes that DeepFool aims at, the current one included


@dataclass(frozen=True, kw_only=True)
class Config:
    """How to search for the perturbation."""

    attack: Attack = "race"
    effort: EffortName = "standard"
    """Effort of `race`: "fast", "standard" or "thorough"."""
    steps: int = 50
    """Gradient steps of the other attacks."""
    reference: Reference = "prediction"
    """The class to leave; "label" gives 0 to examples that are already misclassified."""

    def __post_init__(self) -> None:
        check_choice("attack", self.attack, get_args(Attack))
        check_choice("effort", self.effort, get_args(EffortName))
        check_choice("reference", self.reference, get_args(Reference))
        check_positive(steps=self.steps)


def distance(config: Config, model: nn.Module, images: Tensor, classes: Tensor) -> Floats:
    """Return the L-infinity norm of the smallest perturbation found.

    Args:
        config: the attack and its budget.
        model: returns logits [n, C]; its parameters take no gradient.
        images: [n, D, H, W] float32 in [0, 1].
        classes: [n] int64, the class that the model predicts for each image.

    Returns:
        [n] float64, NaN where no adversarial was found.
    """
    if config.attack == "race":
        return race_distance(model, images, classes, LINF, config.effort)
    return _by_foolbox(config, model, images, classes)


def _by_foolbox(config: Config, model: nn.Module, images: Tensor, classes: Tensor) -> Floats:
    # Imported here because the default needs no Foolbox.
    from foolbox.attacks.deepfool import LinfDeepFoolAttack
    from foolbox.attacks.fast_minimum_norm import LInfFMNAttack

    from scoring.attacks.by_foolbox import foolbox_distance

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
    """Return the smallest L-infinity perturbation found for each of N examples, [N] float64."""
    return score_attack(batch, model, config.reference, partial(distance, config))


def passes(config: Config) -> Passes:
    """Return the usual cost of `race`, or the budget of the others; `deepfool` may stop earlier."""
    if config.attack == "race":
        return EFFORTS[config.effort].passes
    return foolbox_passes(config.steps * (1 if config.attack == "fmn" else _CANDIDATES - 1))


METRIC = ModelMetric(
    name="adv_linf",
    summary="smallest L-infinity perturbation that changes the class",
    purpose="robustness",
    version=3,
    unit="L-infinity norm, pixels in [0, 1]",
    prototypical="high",
    source="Carlini et al. 2019, section 2.1",
    config=Config,
    statuses={NO_ADVERSARIAL: "prototypical"},
    score=score,
    passes=passes,
    moves_pixels=True,
)
