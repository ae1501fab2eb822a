"""What a boundary race moves: perturbations under way, the model around them, the best so far."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from scoring.attacks.norms import Norm, column, dot
from scoring.training.precision import multiplies_bfloat16

Model = Callable[[Tensor], Tensor]
_ROUNDING = 1e-6  # of the largest logit: a lead this far below 0 crosses in any batch
_FEW_ROWS = 32
_WIDE = 32  # channels
_FAINT = 1 / 16  # of the largest logit: some ten times what bfloat16 errs by after a few layers


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

    def __init__(self, model: Model, images: Tensor, classes: Tensor, *, in_bfloat16: bool) -> None:
        self._model = model
        self._depth, self._height, self._width = images.shape[1:]
        self.images = images.permute(0, 2, 3, 1).reshape(len(images), -1)
        self.classes = classes
        self.low, self.high = -self.images, 1 - self.images
        self._rows = max(len(images), _FEW_ROWS)
        self.in_bfloat16 = in_bfloat16
        """Whether looks may be in bfloat16 where they only steer."""

    def as_images(self, flat: Tensor) -> Tensor:
        """[L, P] as [L, D, H, W], channels last in memory."""
        return flat.view(-1, self._height, self._width, self._depth).permute(0, 3, 1, 2)

    def logits(self, points: Tensor) -> Tensor:
        """[L, C] at points [L, P]."""
        parts = [self._model(self.as_images(part)) for part in self._in_parts(points)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def lead(self, lanes: Lanes, *, coarse: bool) -> tuple[Tensor, Tensor, Tensor]:
        """At each lane: lead over its target [L], the gradient of it [L, P], logits [L, C].

        A coarse look is in bfloat16.
        """
        autocast = torch.autocast(lanes.delta.device.type, torch.bfloat16, enabled=coarse)
        points, own = lanes.delta - lanes.low, self.classes[lanes.row]
        found = []
        for part, leaving, heading in zip(
            *map(self._in_parts, (points, own, lanes.target)), strict=True
        ):
            part.requires_grad_()
            with torch.enable_grad(), autocast:
                logits = self._model(self.as_images(part)).float()
                lead = _at(logits, leaving) - _at(logits, heading)
                (gradient,) = torch.autograd.grad(lead.sum(), part)
            found.append((lead.detach(), alive(gradient), logits.detach()))
        lead, gradient, logits = (torch.cat(parts) for parts in zip(*found, strict=True))
        return lead, gradient, logits

    def _in_parts(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Even parts, none with more rows than the batch."""
        return torch.chunk(rows, math.ceil(len(rows) / self._rows))


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
        clear = clear_lead(logits)
        crossed = (lead <= -clear / 2).nonzero().squeeze(1)
        if len(crossed):
            rows, size = lanes.row[crossed], self.norm.size(deltas[crossed])
            least = self.size.scatter_reduce(0, rows, size, "amin")
            wins = (size == least[rows]) & (size < self.size[rows])
            lane, row = crossed[wins], rows[wins]
            self.points[row] = (deltas[lane] - lanes.low[lane]).clamp(0, 1)
            self.size[row], self._entered[row] = size[wins], rival[lane]
        return lead + clear

    def kicked(self, along: Tensor) -> Lanes:
        """Lanes that start from what was found, moved by its own size `along` [P]."""
        row = torch.isfinite(self.size).nonzero().squeeze(1)
        low, high = self._field.low[row], self._field.high[row]
        unit = along / self.norm.size(along.unsqueeze(0))
        delta = self.points[row] - self._field.images[row] + column(self.size[row]) * unit
        delta = torch.clamp(delta, low, high)
        return Lanes(row, self._entered[row], low, high, delta, delta)


def steered_by_bfloat16(model: Model, images: Tensor, classes: Tensor) -> Tensor:
    """Images [n] bool whose race bfloat16 can steer, and faster than float32.

    What narrow layers save, casting costs; and a small lead is lost in its rounding.
    """
    layers = model.modules() if isinstance(model, nn.Module) else ()
    wide = any(isinstance(m, nn.Conv2d) and m.out_channels >= _WIDE for m in layers)
    if not (wide and multiplies_bfloat16(images.device.type)):
        return torch.zeros_like(classes, dtype=torch.bool)
    logits = model(images)
    lead, _ = _lead_over_all(logits, classes)
    return lead > _FAINT * logits.abs().amax(dim=1)


def _at(logits: Tensor, classes: Tensor) -> Tensor:
    """Logit [L] of one class a row."""
    return logits.gather(1, column(classes)).squeeze(1)


def _lead_over_all(logits: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
    """Lead [L] of the own class over the best other, and which that is [L]."""
    others, rival = logits.scatter(1, column(own), -torch.inf).max(dim=1)
    return _at(logits, own) - others, rival


def clear_lead(logits: Tensor) -> Tensor:
    """How far beyond the boundary to aim, [L] of logits [L, C]: twice what rounding may undo."""
    return 2 * _ROUNDING * logits.abs().amax(dim=1)


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
