"""Adversarial robustness: the smallest Euclidean change of an image that changes its class.

    adv_l2(x) = min ||d||_2   over the perturbations found with argmax f(x + d) != argmax f(x),
                              x + d in [0, 1]

Range [0, sqrt(D H W)], in units of pixels in [0, 1], before the net's own normalisation; high =
prototypical. A perturbation that was found is an upper bound of the smallest: more work can only
lower the value. None found within the budget: NaN, "no_adversarial_found", which ranks as most
prototypical.

Attacks:
- `race`, the default: `scoring.attacks.boundary_race`, with `effort` as its dial. Closer on
  average than `ddn` in 300 steps, in a sixth of the passes.
- `ddn`, from Foolbox like the ones below: Rony et al., "Decoupling Direction and Norm for Efficient
  Gradient-Based L2 Adversarial Attacks and Defenses", CVPR 2019, arXiv:1811.09600.
- `carlini_wagner`: Carlini & Wagner, "Towards Evaluating the Robustness of Neural Networks", IEEE
  S&P 2017, arXiv:1608.04644, which the paper used. It needs `steps=1000, cw_rate=0.01`, which is
  expensive.
- `deepfool`: Moosavi-Dezfooli et al., CVPR 2016, arXiv:1511.04599. Often 10 % too long or more.

Source: Carlini, Erlingsson & Papernot, "Prototypical Examples in Deep Learning: Metrics,
Characteristics, and Utility" (2019 submission; arXiv:1910.13427), section 2.1. We differ: our own
attack by default; the line to a point that Foolbox found is bisected; Carlini-Wagner runs without
early abort, which would make an example depend on its batch; and DDN sees logits that do not
saturate. Cost per example: about 48 forward and 44 backward passes for `race` (21 each with effort
"fast", 250 and 230 with "thorough"), most of them in bfloat16 where that is faster; `steps` forward
and backward passes plus 12 forward for `ddn`; nine times `steps` for `carlini_wagner` and, at most,
for `deepfool`.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

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
from scoring.attacks.norms import L2
from scoring.spec import Batch, Columns, ModelMetric, Passes
from scoring.statuses import NO_ADVERSARIAL

Attack = Literal["race", "ddn", "carlini_wagner", "deepfool"]
_CANDIDATES = 10  # most likely classes that DeepFool aims at, the current one included


@dataclass(frozen=True, kw_only=True)
class Config:
    """How to search for the perturbation."""

    attack: Attack = "race"
    effort: EffortName = "standard"
    """Effort of `race`: "fast", "standard" or "thorough"."""
    steps: int = 100
    """Gradient steps of the other attacks; of Carlini-Wagner, in each round."""
    reference: Reference = "prediction"
    """The class to leave; "label" gives 0 to examples that are already misclassified."""
    cw_rounds: int = 9
    """Carlini-Wagner: rounds of its binary search for the constant."""
    cw_rate: float = 0.05
    """Carlini-Wagner: learning rate of Adam."""
    cw_constant: float = 1e-3
    """Carlini-Wagner: weight of the class change in the first round."""

    def __post_init__(self) -> None:
        check_choice("attack", self.attack, get_args(Attack))
        check_choice("effort", self.effort, get_args(EffortName))
        check_choice("reference", self.reference, get_args(Reference))
        check_positive(
            steps=self.steps,
            cw_rounds=self.cw_rounds,
            cw_rate=self.cw_rate,
            cw_constant=self.cw_constant,
        )


def distance(config: Config, model: nn.Module, images: Tensor, classes: Tensor) -> Floats:
    """Return the L2 norm of the smallest perturbation found.

    Args:
        config: the attack and its budget.
        model: returns logits [n, C]; its parameters take no gradient.
        images: [n, D, H, W] float32 in [0, 1].
        classes: [n] int64, the class that the model predicts for each image.

    Returns:
        [n] float64, NaN where no adversarial was found.
    """
    if config.attack == "race":
        return race_distance(model, images, classes, L2, config.effort)
    return _by_foolbox(config, model, images, classes)


def _by_foolbox(config: Config, model: nn.Module, images: Tensor, classes: Tensor) -> Floats:
    # Imported here because the default needs no Foolbox.
    from foolbox.attacks.base import MinimizationAttack
    from foolbox.attacks.carlini_wagner import L2CarliniWagnerAttack
    from foolbox.attacks.ddn import DDNAttack
    from foolbox.attacks.deepfool import L2DeepFoolAttack

    from scoring.attacks.by_foolbox import Unsaturated, foolbox_distance

    attack: MinimizationAttack = DDNAttack(steps=config.steps)
    if config.attack == "ddn":
        model = Unsaturated(model, classes).eval()
    elif config.attack == "deepfool":
        attack = L2DeepFoolAttack(steps=config.steps, candidates=_CANDIDATES)
    else:
        attack = L2CarliniWagnerAttack(
            binary_search_steps=config.cw_rounds,
            steps=config.steps,
            stepsize=config.cw_rate,
            initial_const=config.cw_constant,
            abort_early=False,  # would stop a whole batch when its summed loss stalls
        )
    return foolbox_distance(attack, 2, model, images, classes)


def score(config: Config, batch: Batch, model: nn.Module) -> Columns:
    """Return the smallest L2 perturbation found for each of N examples, [N] float64."""
    return score_attack(batch, model, config.reference, partial(distance, config))


def passes(config: Config) -> Passes:
    """Return the usual cost of `race`, or the budget of the others; `deepfool` may stop earlier."""
    if config.attack == "race":
        return EFFORTS[config.effort].passes
    per_step = {"ddn": 1, "carlini_wagner": config.cw_rounds, "deepfool": _CANDIDATES - 1}
    return foolbox_passes(config.steps * per_step[config.attack])


METRIC = ModelMetric(
    name="adv_l2",
    summary="smallest L2 perturbation that changes the class",
    purpose="robustness",
    version=3,
    unit="L2 norm, pixels in [0, 1]",
    prototypical="high",
    source="Carlini et al. 2019, section 2.1",
    config=Config,
    statuses={NO_ADVERSARIAL: "prototypical"},
    score=score,
    passes=passes,
    moves_pixels=True,
)
