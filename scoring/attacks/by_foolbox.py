"""Attacks of Foolbox: distances by them, DDN as it should be, and our own as one of them.

No example's result may depend on the examples beside it. Read in the source of Foolbox 3.3.4:
- its L-infinity fast minimum-norm and DeepFool attacks keep every quantity per example (its L2 fast
  minimum-norm never projects, and finds perturbations that are far too large);
- Carlini-Wagner gives up on a whole batch at once unless `abort_early` is off;
- DDN draws noise for the whole batch where a gradient vanishes: see `Unsaturated`.
"""

from typing import Any

import torch
from eagerpy.astensor import astensor, astensor_
from foolbox.attacks.base import MinimizationAttack, get_criterion, raise_if_kwargs
from foolbox.criteria import Misclassification
from foolbox.distances import l2
from foolbox.models.base import Model
from foolbox.models.pytorch import PyTorchModel
from torch import Tensor, nn

from scoring.arrays import Floats
from scoring.attacks.boundary_race import smallest_change
from scoring.attacks.common import BISECTIONS, classify, norms_of
from scoring.attacks.efforts import EffortName
from scoring.attacks.norms import L2

_MOST_LEAD = 4.0  # of the reference class's logit: its softmax stays clear of 1


def foolbox_distance(
    attack: MinimizationAttack,
    order: float,
    model: nn.Module,
    images: Tensor,
    classes: Tensor,
) -> Floats:
    """Norm of the smallest perturbation that a Foolbox attack leads to.

    Attacks stop a little beyond the boundary, so the way from each image to the point found for it
    is bisected. Every point that counts lies in [0, 1] and has been classified by the model.

    Args:
        attack: finds small perturbations of any example it can.
        order: of the norm: 2 or infinity.
        model: returns logits [n, C]; its parameters take no gradient.
        images: [n, D, H, W] float32 in [0, 1].
        classes: [n] int64, the class that the model gives each image.

    Returns:
        [n] float64 in units of the pixels, NaN where no point of another class was found.
    """
    target = PyTorchModel(model, bounds=(0, 1), device=images.device)
    devices = [images.device] if images.is_cuda else []
    with torch.random.fork_rng(devices=devices), torch.enable_grad():
        points = attack.run(target, images, Misclassification(classes)).detach()
    points, changed = nearest_on_the_way(model, images, points, classes)
    return norms_of(points, images, changed, order)


def nearest_on_the_way(
    model: nn.Module, images: Tensor, points: Tensor, classes: Tensor
) -> tuple[Tensor, Tensor]:
    """Nearest points [n, D, H, W] of another class between images and points; [n] if any."""

    def at(fraction: Tensor) -> Tensor:
        return (images + fraction.view(-1, 1, 1, 1) * (points - images)).clamp(0, 1)

    within, beyond = torch.zeros(2, len(images), device=images.device)
    beyond += 1
    changed = classify(model, at(beyond)) != classes
    for _ in range(BISECTIONS):
        middle = (within + beyond) / 2
        crossed = classify(model, at(middle)) != classes
        within, beyond = torch.where(crossed, within, middle), torch.where(crossed, middle, beyond)
    return at(beyond), changed


class Unsaturated(nn.Module):
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
        """Logits [n, C] with the reference class's lead cut to 4."""
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


class BoundaryRace(MinimizationAttack):
    """The boundary race as an attack of Foolbox: untargeted, smallest L2 distance."""

    distance = l2

    def __init__(self, *, effort: EffortName = "standard") -> None:
        """Race with this effort."""
        self._effort: EffortName = effort

    def run(
        self,
        model: Model,
        inputs: Any,  # noqa: ANN401 - a tensor of any framework, as Foolbox has it
        criterion: Any,  # noqa: ANN401
        *,
        early_stop: float | None = None,
        **kwargs: object,
    ) -> Any:  # noqa: ANN401
        """Nearest points found; an input itself where there is none or none is needed.

        Raises:
            ValueError: the criterion is targeted.
        """
        raise_if_kwargs(kwargs)
        tensor, restore = astensor_(inputs)
        labels = get_criterion(criterion)
        if not isinstance(labels, Misclassification):
            raise ValueError(f"expected the criterion Misclassification, got {labels!r}")
        low, high = model.bounds

        def on_unit(images: Tensor) -> Tensor:
            logits: Tensor = model(low + (high - low) * images)
            return logits

        images, classes = (tensor.raw - low) / (high - low), labels.labels.raw
        points = images.clone()
        inside = classify(on_unit, images) == classes
        if inside.any():
            race = smallest_change(on_unit, images[inside], classes[inside], L2, self._effort)
            points[inside] = race[0]
        return restore(astensor(low + (high - low) * points))
