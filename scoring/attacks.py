"""What the adversarial metrics share: the class to leave, a model held still, Foolbox's attacks.

No example's result may depend on the examples beside it. Read in the source of Foolbox 3.3.4:
- its fast minimum-norm and DeepFool attacks keep every quantity per example;
- Carlini-Wagner gives up on a whole batch at once unless `abort_early` is off;
- DDN draws noise for the whole batch where a gradient vanishes (see `adv_l2`).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
import torch
from foolbox.attacks.base import MinimizationAttack
from foolbox.criteria import Misclassification
from foolbox.models.pytorch import PyTorchModel
from torch import Tensor, nn

from scoring.spec import Batch, Columns, Floats, Passes

Reference = Literal["prediction", "label"]
NO_ADVERSARIAL = "no_adversarial_found"
UNLABELLED = "unlabelled"
_BISECTIONS = 10  # leave 0.1 % of the distance found
Measure = Callable[[nn.Module, Tensor, Tensor], Floats]
"""(model, images [n, D, H, W], classes [n]) -> [n] float64, NaN where no adversarial was found."""


def check_choice(field: str, value: str, known: tuple[str, ...]) -> None:
    """Refuse a Config field that is none of the known names; `ValueError`."""
    if value not in known:
        raise ValueError(f"{field}: expected one of {', '.join(known)}, got {value!r}")


def check_positive(**fields: float) -> None:
    """Refuse Config fields that are not above zero; `ValueError`."""
    for field, value in fields.items():
        if not value > 0:
            raise ValueError(f"{field}: expected a number above 0, got {value}")


def score_attack(batch: Batch, model: nn.Module, reference: Reference, measure: Measure) -> Columns:
    """Measure what it takes to make a model leave the reference class.

    Args:
        batch: N examples with images, float32 in [0, 1].
        model: takes such images, returns logits [N, C]; left as it was found.
        reference: the class to leave: the model's own prediction, or the label; an example that the
            model already puts elsewhere has value 0.
        measure: the attack; it sees only examples that the model puts in the reference class.

    Returns:
        Values of N examples, with status "no_adversarial_found" or "unlabelled" where NaN.
    """
    if batch.images is None:
        raise ValueError("expected a batch with images, got none")
    value = np.full(len(batch.ids), np.nan)
    labelled = np.full(len(value), True) if reference == "prediction" else batch.labels >= 0
    if len(value):
        with held_still(model):
            predicted = classify(model, batch.images)
            labels = torch.from_numpy(batch.labels).to(predicted.device)
            classes = predicted if reference == "prediction" else labels
            inside = predicted == classes
            value[labelled & ~inside.cpu().numpy()] = 0.0
            if inside.any():
                found = measure(model, batch.images[inside], classes[inside])
                value[inside.cpu().numpy()] = found
    missing = np.where(labelled, NO_ADVERSARIAL, UNLABELLED)
    return Columns(value=value, status=np.where(np.isnan(value), missing, ""))


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
    points, changed = _nearest_on_the_way(model, images, points, classes)
    norms = torch.linalg.vector_norm((points.double() - images.double()).flatten(1), order, dim=1)
    distances: Floats = torch.where(changed, norms, torch.nan).cpu().numpy()
    return distances


def attack_passes(steps: int) -> Passes:
    """Cost of an attack of so many gradient steps, with what is asked of the model around it."""
    return Passes(forward=steps + 2 + _BISECTIONS, backward=steps)


def _nearest_on_the_way(
    model: nn.Module, images: Tensor, points: Tensor, classes: Tensor
) -> tuple[Tensor, Tensor]:
    """Nearest points [n, D, H, W] of another class between images and points; [n] if any."""

    def at(fraction: Tensor) -> Tensor:
        return (images + fraction.view(-1, 1, 1, 1) * (points - images)).clamp(0, 1)

    within, beyond = torch.zeros(2, len(images), device=images.device)
    beyond += 1
    changed = classify(model, at(beyond)) != classes
    for _ in range(_BISECTIONS):
        middle = (within + beyond) / 2
        crossed = classify(model, at(middle)) != classes
        within, beyond = torch.where(crossed, within, middle), torch.where(crossed, middle, beyond)
    return at(beyond), changed


@torch.no_grad()
def classify(model: nn.Module, images: Tensor) -> Tensor:
    """Predicted class of each image, [N] int64."""
    predicted: Tensor = model(images).argmax(dim=1)
    return predicted


@contextmanager
def held_still(model: nn.Module) -> Iterator[None]:
    """Eval mode, no parameter gradients, exact float32; the model is handed back as it was."""
    modes = [(module, module.training) for module in model.modules()]
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        model.eval().requires_grad_(False)
        # TF32 keeps 10 bits of a product: too few to tell on which side of a boundary a point is.
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            yield
    finally:
        for parameter in learned:
            parameter.requires_grad_(True)
        for module, training in modes:
            module.training = training
