"""What a boundary race moves: perturbations under way, the model around them, the best so far."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from scoring.attacks.norms import Norm, column, dot

Model = Callable[[Tensor], Tensor]
_ROUNDING = 1e-6  # of the largest logit: a lead this far below 0 crosses in any batch
_FEW_ROWS = 32


class Rows:
    """Tensors of L rows each."""

    def at(self, kept: Tensor) -> Self:
        """Rows of a mask [L]."""
        if kept.all():
            return self
        return type(self)(**{name: values[kept] for name, values in vars(self).items()})

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """All rows of some."""
        names = vars(parts[0])
        return cls(**{name: torch.cat([vars(part)[name] for part in parts]) for name in names})


@dataclass
class Lanes(Rows):
    """Perturbations under way: L pairs of an example and a class."""

    row: Tensor
    """[L] which example."""
    target: Tensor
    """[L] the class it heads for."""
    low: Tensor
    """[L, P] how far each pixel may sink, <= 0."""
    high: Tensor
    """[L, P] how far each pixel may rise, >= 0."""
    delta: Tensor
    """[L, P] the perturbation."""
    before: Tensor
    """[L, P] that of the step before."""


class Field:
    """The model around a batch of images, flat: P = H x W x D values an image."""

    def __init__(self, model: Model, images: Tensor, classes: Tensor) -> None:
        self._model = model
        self._depth, self._height, self._width = images.shape[1:]
        self.images = images.permute(0, 2, 3, 1).reshape(len(images), -1)
        self.classes = classes
        self.low, self.high = -self.images, 1 - self.images
        self._rows = max(len(images), _FEW_ROWS)

    def as_images(self, flat: Tensor) -> Tensor:
        """[L, P] as [L, D, H, W], channels last in memory."""
        return flat.view(-1, self._height, self._width, self._depth).permute(0, 3, 1, 2)

    def logits(self, points: Tensor) -> Tensor:
        """[L, C] at points [L, P]; no more of them at once than the batch has rows."""
        parts = [self._model(self.as_images(part)) for part in torch.split(points, self._rows)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def lead(self, lanes: Lanes) -> tuple[Tensor, Tensor, Tensor]:
        """At each lane: lead over its target [L], the gradient of it [L, P], logits [L, C]."""
        own = self.classes[lanes.row]
        found = []
        for start in range(0, len(own), self._rows):
            part = slice(start, start + self._rows)
            points = (lanes.delta[part] - lanes.low[part]).requires_grad_()
            with torch.enable_grad():
                logits = self.logits(points)
                lead = _at(logits, own[part]) - _at(logits, lanes.target[part])
                (gradient,) = torch.autograd.grad(lead.sum(), points)
            found.append((lead.detach(), alive(gradient), logits.detach()))
        lead, gradient, logits = (torch.cat(parts) for parts in zip(*found, strict=True))
        return lead, gradient, logits


class Best:
    """The smallest perturbation of each example that was seen to change its class."""

    def __init__(self, field: Field, norm: Norm) -> None:
        self._field = field
        self.norm = norm
        self.points = field.images.clone()
        self.size = torch.full((len(self.points),), torch.inf, device=self.points.device)
        self._entered = field.classes.clone()

    def offer(self, lanes: Lanes, deltas: Tensor, logits: Tensor) -> Tensor:
        """Take what is smaller; returns how far each lead [L] is above a clear crossing."""
        lead, rival = _lead_over_all(logits, self._field.classes[lanes.row])
        rounding = _ROUNDING * logits.abs().amax(dim=1)
        crossed = (lead <= -rounding).nonzero().squeeze(1)
        if len(crossed):
            rows, size = lanes.row[crossed], self.norm.size(deltas[crossed])
            least = self.size.scatter_reduce(0, rows, size, "amin")
            wins = (size == least[rows]) & (size < self.size[rows])
            lane, row = crossed[wins], rows[wins]
            self.points[row] = (deltas[lane] - lanes.low[lane]).clamp(0, 1)
            self.size[row], self._entered[row] = size[wins], rival[lane]
        return lead + 2 * rounding

    def kicked(self, along: Tensor) -> Lanes:
        """Lanes that start from what was found, moved by its own size `along` [P]."""
        row = torch.isfinite(self.size).nonzero().squeeze(1)
        low, high = self._field.low[row], self._field.high[row]
        unit = along / self.norm.size(along.unsqueeze(0))
        delta = self.points[row] - self._field.images[row] + column(self.size[row]) * unit
        delta = torch.clamp(delta, low, high)
        return Lanes(row, self._entered[row], low, high, delta, delta)


def _at(logits: Tensor, classes: Tensor) -> Tensor:
    """Logit [L] of one class a row."""
    return logits.gather(1, column(classes)).squeeze(1)


def _lead_over_all(logits: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
    """Lead [L] of the own class over the best other, and which that is [L]."""
    others, rival = logits.scatter(1, column(own), -torch.inf).max(dim=1)
    return _at(logits, own) - others, rival


def alive(gradient: Tensor) -> Tensor:
    """Gradients [L, P], a fixed direction in place of those that vanish."""
    gone = dot(gradient, gradient) == 0
    if gone.any():
        gradient = torch.where(column(gone), pattern(gradient, seed=0), gradient)
    return gradient


def pattern(like: Tensor, seed: int) -> Tensor:
    """Normal random numbers [P], the same for every example and on every device."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(like.shape[1], generator=generator).to(like.device)
