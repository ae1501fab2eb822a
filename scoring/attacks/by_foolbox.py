"""Foolbox: distances by its attacks, a fix for its DDN, and our own attack in its form.

No example's result may depend on the rest of its batch. According to the source of Foolbox 3.3.4:
- its L-infinity fast minimum-norm and DeepFool attacks keep every quantity per example (its L2 fast
  minimum-norm attack never projects and finds perturbations that are far too large);
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
from scoring.attacks.common import BISECTIONS, classify, perturbation_norms
from scoring.attacks.efforts import EffortName
from scoring.attacks.norms import L2

_LARGEST_LEAD = 4.0  # of the reference class's logit: keeps its softmax clear of 1


def foolbox_distance(
    attack: MinimizationAttack,
    order: float,
    model: nn.Module,
    images: Tensor,
    classes: Tensor,
) -> Floats:
    """Return the norm of the smallest perturbation that a Foolbox attack leads to.

    Attacks stop a little beyond the boundary, so we bisect between each image and the point found
    for it. Every point that counts lies in [0, 1] and has been classified by the model.

    Args:
        attack: finds small perturbations where it can.
        order: order of the norm, 2 or infinity.
        model: returns logits [n, C]; its parameters require no gradient.
        images: [n, D, H, W] float32 in [0, 1].
        classes: [n] int64, the class that the model gives each image.

    Returns:
        [n] float64 in units of the pixels, NaN where no point of another class was found.
    """
    target = PyTorchModel(model, bounds=(0, 1), device=images.device)
    devices = [images.device] if images.is_cuda else []
    with torch.random.fork_rng(devices=devices), torch.enable_grad():
        points = attack.run(target, images, Misclassification(classes)).detach()
    points, changed = bisect_to_boundary(model, images, points, classes)
    return perturbation_norms(points, images, changed, order)


def bisect_to_boundary(
    model: nn.Module, images: Tensor, points: Tensor, classes: Tensor
) -> tuple[Tensor, Tensor]:
    """Bisect between images and points for the nearest points of another class.

    Returns:
        Those points [n, D, H, W], and whether they are of another class, [n] bool.
    """

    def point_at(fraction: Tensor) -> Tensor:
        return (images + fraction.view(-1, 1, 1, 1) * (points - images)).clamp(0, 1)

    inside, outside = torch.zeros(2, len(images), device=images.device)
    outside += 1
    changed = classify(model, point_at(outside)) != classes
    for _ in range(BISECTIONS):
        middle = (inside + outside) / 2
        crossed = classify(model, point_at(middle)) != classes
        inside = torch.where(crossed, inside, middle)
        outside = torch.where(crossed, middle, outside)
    return point_at(outside), changed


class Unsaturated(nn.Module):
    """A model whose cross-entropy keeps its gradient's direction where float32 would lose it.

    Once the reference class leads by about 17, its softmax is 1 in float32 and the gradient of the
    cross-entropy loses that class's part; at about 100, the gradient is zero. Lowering that one
    logit until it leads by 4 scales the exact gradient without changing its direction. Where the
    gradient vanishes even so, DDN would draw noise for the whole batch; here every example gets the
    same fixed pattern.
    """

    def __init__(self, model: nn.Module, classes: Tensor) -> None:
        super().__init__()
        self.model = model
        self.classes = classes.unsqueeze(1)  # [n, 1]

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [n, C] with the reference class's lead cut to 4."""
        if images.requires_grad:
            images.register_hook(_without_zeros)  # type: ignore[no-untyped-call]
        logits: Tensor = self.model(images)
        with torch.no_grad():
            others = logits.scatter(1, self.classes, -torch.inf).amax(dim=1, keepdim=True)
            excess = (logits.gather(1, self.classes) - others - _LARGEST_LEAD).clamp(min=0)
        return logits.scatter_add(1, self.classes, -excess)


def _without_zeros(gradient: Tensor) -> Tensor:
    """Replace gradients [n, D, H, W] that vanish by a fixed random direction."""
    generator = torch.Generator().manual_seed(0)
    pattern = torch.randn(gradient.shape[1:], generator=generator).to(gradient.device)
    vanished = torch.linalg.vector_norm(gradient.flatten(1), dim=1) == 0
    return torch.where(vanished.view(-1, 1, 1, 1), pattern, gradient)


class BoundaryRace(MinimizationAttack):
    """The boundary race as a Foolbox attack: untargeted, smallest L2 distance."""

    distance = l2

    def __init__(self, *, effort: EffortName = "standard") -> None:
        """Race with this effort."""
        self._effort: EffortName = effort

    def run(
        self,
        model: Model,
        inputs: Any,  # noqa: ANN401 - Foolbox accepts tensors of any framework
        criterion: Any,  # noqa: ANN401
        *,
        early_stop: float | None = None,
        **kwargs: object,
    ) -> Any:  # noqa: ANN401
        """Return the nearest points found, or the input itself if there is none or none is needed.

        Raises:
            ValueError: the criterion is targeted.
        """
        raise_if_kwargs(kwargs)
        tensor, restore = astensor_(inputs)
        labels = get_criterion(criterion)
        if not isinstance(labels, Misclassification):
            raise ValueError(f"expected the criterion Misclassification, got {labels!r}")
        low, high = model.bounds

        def unit_model(images: Tensor) -> Tensor:
            logits: Tensor = model(low + (high - low) * images)
            return logits

        images, classes = (tensor.raw - low) / (high - low), labels.labels.raw
        points = images.clone()
        inside = classify(unit_model, images) == classes
        if inside.any():
            points[inside], _ = smallest_change(
                unit_model, images[inside], classes[inside], L2, self._effort
            )
        return restore(astensor(low + (high - low) * points))
