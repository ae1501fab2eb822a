"""The attacks to compare, and a net that counts its forward and backward passes."""

import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from foolbox.attacks.base import MinimizationAttack
from foolbox.attacks.carlini_wagner import L2CarliniWagnerAttack
from foolbox.attacks.ddn import DDNAttack
from foolbox.attacks.deepfool import L2DeepFoolAttack
from foolbox.criteria import Misclassification
from foolbox.models.pytorch import PyTorchModel
from torch import Tensor, nn

from scoring.arrays import Floats
from scoring.attacks.boundary_race import smallest_change
from scoring.attacks.by_foolbox import bisect_to_boundary
from scoring.attacks.common import perturbation_norms
from scoring.attacks.efforts import EFFORTS, EffortName
from scoring.attacks.norms import L2

BATCH = 250
SHORT = 10  # seconds; attacks that take less are timed three times
CW = "carlini_wagner"
Attack = Callable[["CountingNet", Tensor, Tensor], Tensor]


class CountingNet(nn.Module):
    """A net that counts the rows that pass through it."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.passes = np.zeros((2, 2))
        """[2, 2]: rows passed in float32 and in bfloat16, forward and backward."""

    def forward(self, images: Tensor) -> Tensor:
        """Logits [N, C]."""
        seen = self.passes[int(torch.is_autocast_enabled(images.device.type))]
        seen[0] += len(images)
        if images.requires_grad:

            def count(gradient: Tensor) -> None:
                seen[1] += len(gradient)

            images.register_hook(count)  # type: ignore[no-untyped-call]
        logits: Tensor = self.net(images)
        return logits


@dataclass
class Outcome:
    """What an attack found, and what it cost."""

    distances: Floats
    seconds: float
    passes: "np.ndarray[Any, np.dtype[np.float64]]"
    """[2, 2], as `CountingNet` counts them."""
    floor: float
    """Seconds that these passes take by themselves."""


def attacks(many: int, few: int) -> dict[str, tuple[Attack, int]]:
    """Return the attacks, each with the number of examples to run it on."""
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
        from foolbox.attacks.brendel_bethge import L2BrendelBethgeAttack

        tried["brendel_bethge"] = _foolbox(L2BrendelBethgeAttack(steps=100)), few
    return tried


def _ours(effort: EffortName) -> Attack:
    def attack(net: CountingNet, images: Tensor, classes: Tensor) -> Tensor:
        return smallest_change(net, images, classes, L2, effort)[0]

    return attack


def _foolbox(method: MinimizationAttack) -> Attack:
    def attack(net: CountingNet, images: Tensor, classes: Tensor) -> Tensor:
        with torch.random.fork_rng(), torch.enable_grad():
            torch.manual_seed(0)
            target = PyTorchModel(net, bounds=(0, 1), device=images.device)
            points: Tensor = method.run(target, images, Misclassification(classes))
        return points.detach()

    return attack


def run_attacks(
    tried: dict[str, tuple[Attack, int]], net: CountingNet, images: Tensor, classes: Tensor
) -> dict[str, Outcome]:
    """Run every attack on a batch before the next batch, so that all see the same machine."""
    outcomes = {name: Outcome(np.empty(0), 0.0, np.zeros((2, 2)), 0.0) for name in tried}
    for start in range(0, len(images), BATCH):
        for name, (attack, n) in tried.items():
            part = slice(start, min(start + BATCH, n))
            if start < n:
                _run(outcomes[name], attack, net, images[part], classes[part])
    return outcomes


def _run(
    outcome: Outcome, attack: Attack, net: CountingNet, images: Tensor, classes: Tensor
) -> None:
    """Attack a batch; moving the points back to the boundary is not timed."""
    per_pass = _seconds_per_pass(net.net, images)
    seconds: list[float] = []
    while not seconds or (len(seconds) < 3 and seconds[0] < SHORT):
        net.passes[:] = 0
        began = time.process_time()
        points = attack(net, images, classes)
        seconds.append(time.process_time() - began)
    outcome.seconds += float(np.median(seconds))
    outcome.passes += net.passes
    outcome.floor += float((net.passes * per_pass).sum())
    points, changed = bisect_to_boundary(net, images, points, classes)
    distances = perturbation_norms(points, images, changed, L2.order)
    outcome.distances = np.concatenate([outcome.distances, distances])


def _seconds_per_pass(net: nn.Module, images: Tensor) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Return processor seconds per row [2, 2], as `CountingNet` has passes; median of three."""
    images = images.contiguous(memory_format=torch.channels_last)
    seconds = np.zeros((3, 2, 2))
    for coarse in (0, 1):
        with torch.autocast(images.device.type, torch.bfloat16, enabled=bool(coarse)):
            for times in seconds[:, coarse]:
                began = time.process_time()
                with torch.no_grad():
                    net(images)
                forward = time.process_time() - began
                points = images.clone().requires_grad_()
                logits = net(points)
                began = time.process_time()
                torch.autograd.grad(logits[:, 0].sum(), points)
                times[:] = forward, time.process_time() - began
    return np.median(seconds, axis=0) / len(images)
