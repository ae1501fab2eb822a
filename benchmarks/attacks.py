"""Attacks to compare, and a net that counts what they ask of it."""

import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from foolbox.attacks import DDNAttack, L2CarliniWagnerAttack, L2DeepFoolAttack
from foolbox.attacks.base import MinimizationAttack
from foolbox.criteria import Misclassification
from foolbox.models.pytorch import PyTorchModel
from torch import Tensor, nn

from scoring.attacks.boundary_race import EFFORTS, EffortName, smallest_change
from scoring.attacks.by_foolbox import nearest_on_the_way
from scoring.attacks.common import norms_of
from scoring.attacks.norms import L2

BATCH = 250
CW = "carlini_wagner"
Attack = Callable[["Counted", Tensor, Tensor], Tensor]


class Counted(nn.Module):
    """A net that counts the rows that pass forward and backward."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.forwards = self.backwards = 0

    def forward(self, images: Tensor) -> Tensor:
        """Logits [N, C]."""
        self.forwards += len(images)
        if images.requires_grad:
            images.register_hook(self._count)  # type: ignore[no-untyped-call]
        logits: Tensor = self.net(images)
        return logits

    def _count(self, gradient: Tensor) -> None:
        self.backwards += len(gradient)


@dataclass
class Run:
    """What an attack did."""

    distances: "np.ndarray[Any, np.dtype[np.float64]]"
    seconds: float
    forwards: int
    backwards: int


def attacks(many: int, few: int) -> dict[str, tuple[Attack, int]]:
    """Each with the number of examples it is tried on."""
    tried: dict[str, tuple[Attack, int]] = {
        f"ddn{steps}": (_foolbox(DDNAttack(steps=steps)), many) for steps in (50, 100, 300)
    }
    tried["deepfool"] = _foolbox(L2DeepFoolAttack(steps=50, candidates=10)), many
    for effort in EFFORTS:
        tried[effort] = _ours(effort), many
    carlini = L2CarliniWagnerAttack(
        binary_search_steps=9, steps=200, stepsize=0.02, initial_const=0.1, abort_early=False
    )
    tried[CW] = _foolbox(carlini), few
    tried[f"standard_{few}"] = _ours("standard"), few
    if importlib.util.find_spec("numba"):
        from foolbox.attacks import L2BrendelBethgeAttack

        tried["brendel_bethge"] = _foolbox(L2BrendelBethgeAttack(steps=100)), few
    return tried


def _ours(effort: EffortName) -> Attack:
    def attack(net: Counted, images: Tensor, classes: Tensor) -> Tensor:
        return smallest_change(net, images, classes, L2, effort)[0]

    return attack


def _foolbox(how: MinimizationAttack) -> Attack:
    def attack(net: Counted, images: Tensor, classes: Tensor) -> Tensor:
        with torch.random.fork_rng(), torch.enable_grad():
            torch.manual_seed(0)
            target = PyTorchModel(net, bounds=(0, 1), device=images.device)
            points: Tensor = how.run(target, images, Misclassification(classes))
        return points.detach()

    return attack


def run_attack(attack: Attack, net: Counted, images: Tensor, classes: Tensor) -> Run:
    """Attack in batches; what brings points back to the boundary is not counted."""
    run = Run(np.empty(0), 0.0, 0, 0)
    for part, own in zip(images.split(BATCH), classes.split(BATCH), strict=True):
        net.forwards = net.backwards = 0
        began = time.process_time()
        points = attack(net, part, own)
        run.seconds += time.process_time() - began
        run.forwards, run.backwards = run.forwards + net.forwards, run.backwards + net.backwards
        points, changed = nearest_on_the_way(net, part, points, own)
        distances = norms_of(points, part, changed, L2.order)
        run.distances = np.concatenate([run.distances, distances])
    return run


def seconds_a_pass(net: nn.Module, images: Tensor) -> tuple[float, float]:
    """Of one row, forward and backward to the image: the least of several, processor time."""
    images = images.contiguous(memory_format=torch.channels_last)
    forward, both = [], []
    for _ in range(7):
        began = time.process_time()
        with torch.no_grad():
            net(images)
        forward.append(time.process_time() - began)
        points = images.clone().requires_grad_()
        began = time.process_time()
        torch.autograd.grad(net(points)[:, 0].sum(), points)
        both.append(time.process_time() - began)
    ahead = float(np.median(forward)) / len(images)
    return ahead, float(np.median(both)) / len(images) - ahead
