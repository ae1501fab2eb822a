"""Shared by the adversarial metrics: the class to leave, a frozen model, distances, costs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from scoring.arrays import Floats
from scoring.spec import Batch, Columns, Passes
from scoring.statuses import NO_ADVERSARIAL, UNLABELLED

Reference = Literal["prediction", "label"]
BISECTIONS = 10  # on the way to a point found by Foolbox: accurate to 0.1 % of the distance
Measure = Callable[[nn.Module, Tensor, Tensor], Floats]
"""(model, images [n, D, H, W], classes [n]) -> [n] float64, NaN where no adversarial was found."""


def check_choice(field: str, value: str, known: tuple[str, ...]) -> None:
    """Raise `ValueError` if a Config field is not one of the known names."""
    if value not in known:
        raise ValueError(f"{field}: expected one of {', '.join(known)}, got {value!r}")


def check_positive(**fields: float) -> None:
    """Raise `ValueError` if a Config field is not above zero."""
    for field, value in fields.items():
        if not value > 0:
            raise ValueError(f"{field}: expected a number above 0, got {value}")


def score_attack(batch: Batch, model: nn.Module, reference: Reference, measure: Measure) -> Columns:
    """Measure how much it takes to make a model leave the reference class.

    Args:
        batch: N examples with images, float32 in [0, 1].
        model: takes such images, returns logits [N, C]; its state is restored afterwards.
        reference: the class to leave, either the model's own prediction or the label; an example
            that the model already puts elsewhere has value 0.
        measure: the attack; it gets only examples that the model puts in the reference class.

    Returns:
        Values of N examples, with status "no_adversarial_found" or "unlabelled" where NaN.
    """
    if batch.inputs is None:
        raise ValueError("expected a batch with images, got none")
    value = np.full(len(batch.ids), np.nan)
    labelled = np.full(len(value), True) if reference == "prediction" else batch.labels >= 0
    if len(value):
        with frozen(model):
            predicted = classify(model, batch.inputs)
            labels = torch.from_numpy(batch.labels).to(predicted.device)
            classes = predicted if reference == "prediction" else labels
            inside = predicted == classes
            value[labelled & ~inside.cpu().numpy()] = 0.0
            if inside.any():
                measured = measure(model, batch.inputs[inside], classes[inside])
                value[inside.cpu().numpy()] = measured
    missing = np.where(labelled, NO_ADVERSARIAL, UNLABELLED)
    return Columns(value=value, status=np.where(np.isnan(value), missing, ""))


def perturbation_norms(points: Tensor, images: Tensor, changed: Tensor, order: float) -> Floats:
    """Return the norms [n] float64 of points - images [n, D, H, W]; NaN where not `changed`."""
    deltas = (points.double() - images.double()).flatten(1)
    norms = torch.linalg.vector_norm(deltas, order, dim=1)
    distances: Floats = torch.where(changed, norms, torch.nan).cpu().numpy()
    return distances


def foolbox_passes(steps: int) -> Passes:
    """Return the cost of a Foolbox attack of `steps` gradient steps, bisection included."""
    return Passes(forward=steps + 2 + BISECTIONS, backward=steps)


@torch.no_grad()
def classify(model: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Return the predicted class of each image, [N] int64."""
    predicted: Tensor = model(images).argmax(dim=1)
    return predicted


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Put a model in eval mode, without parameter gradients, in exact float32; then restore it."""
    modes = [(module, module.training) for module in model.modules()]
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        model.eval().requires_grad_(False)
        # TF32 keeps 10 bits of a product, too few to say on which side of a boundary a point lies.
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            yield
    finally:
        for parameter in trainable:
            parameter.requires_grad_(True)
        for module, training in modes:
            module.training = training
