"""Parts of a boundary race: perturbations in progress, the model around them, the best so far."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from scoring.attacks.norms import Norm, column, dot
from scoring.training.precision import multiplies_bfloat16

Model = Callable[[Tensor], Tensor]
_ROUNDING = 1e-6  # of the largest logit: a lead this far below 0 is a crossing in any batch
_FEW_ROWS = 32  # smaller batches may still use passes of this many rows
_WIDE = 32  # channels of a layer that bfloat16 speeds up
_SMALL_LEAD = 1 / 16  # of the largest logit: some ten times bfloat16's error after a few layers


class Rows:
    """Base of dataclasses whose fields are tensors of L rows each."""

    def select(self, mask: Tensor) -> Self:
        """Return the rows where the mask [L] is true."""
        if mask.all():
            return self
        return type(self)(**{name: values[mask] for name, values in vars(self).items()})

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Return the rows of all parts."""
        names = vars(parts[0])
        return cls(**{name: torch.cat([vars(part)[name] for part in parts]) for name in names})


@dataclass
class Lanes(Rows):
    """Perturbations in progress, one for each of L pairs of an example and a target class."""

    row: Tensor
    """[L] the example's row in the batch."""
    target: Tensor
    """[L] the target class."""
    low: Tensor
    """[L, P] lowest change of each pixel, <= 0."""
    high: Tensor
    """[L, P] highest change of each pixel, >= 0."""
    delta: Tensor
    """[L, P] the perturbation."""
    before: Tensor
    """[L, P] the perturbation before the last step."""


class Landscape:
    """The model around a batch of images, as flat vectors of P = H x W x D values per image."""

    def __init__(self, model: Model, images: Tensor, classes: Tensor, *, in_bfloat16: bool) -> None:
        self._model = model
        self._depth, self._height, self._width = images.shape[1:]
        self.images = images.permute(0, 2, 3, 1).reshape(len(images), -1)
        self.classes = classes
        self.low, self.high = -self.images, 1 - self.images
        self._pass_rows = max(len(images), _FEW_ROWS)
        self.in_bfloat16 = in_bfloat16
        """Whether evaluations that only steer may be in bfloat16."""

    def as_images(self, flat: Tensor) -> Tensor:
        """View [L, P] as [L, D, H, W], channels last in memory."""
        return flat.view(-1, self._height, self._width, self._depth).permute(0, 3, 1, 2)

    def logits(self, points: Tensor) -> Tensor:
        """Return the logits [L, C] at points [L, P]."""
        parts = [self._model(self.as_images(part)) for part in self._split(points)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def lead_and_gradient(self, lanes: Lanes, *, coarse: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Return each lane's lead over its target [L], the lead's gradient [L, P], logits [L, C].

        A coarse evaluation is in bfloat16.
        """
        autocast = torch.autocast(lanes.delta.device.type, torch.bfloat16, enabled=coarse)
        points, own = lanes.delta - lanes.low, self.classes[lanes.row]
        results = []
        for part, start, target in zip(*map(self._split, (points, own, lanes.target)), strict=True):
            part.requires_grad_()
            with torch.enable_grad(), autocast:
                logits = self._model(self.as_images(part)).float()
                lead = _logit_of(logits, start) - _logit_of(logits, target)
                (gradient,) = torch.autograd.grad(lead.sum(), part)
            results.append((lead.detach(), without_zero_rows(gradient), logits.detach()))
        lead, gradient, logits = (torch.cat(parts) for parts in zip(*results, strict=True))
        return lead, gradient, logits

    def _split(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Split into even parts, small enough for one pass each."""
        return torch.chunk(rows, math.ceil(len(rows) / self._pass_rows))


class Best:
    """The smallest perturbation of each example that was seen to change its class."""

    def __init__(self, landscape: Landscape, norm: Norm) -> None:
        self._landscape = landscape
        self.norm = norm
        self.points = landscape.images.clone()
        self.size = torch.full((len(self.points),), torch.inf, device=self.points.device)
        self._entered = landscape.classes.clone()

    def offer(self, lanes: Lanes, deltas: Tensor, logits: Tensor) -> Tensor:
        """Keep what is smaller; return how far each lead [L] is above a clear crossing."""
        lead, rival = _lead_over_all(logits, self._landscape.classes[lanes.row])
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
        """Start lanes from the best points, each moved `along` [P] by its perturbation's size."""
        row = torch.isfinite(self.size).nonzero().squeeze(1)
        low, high = self._landscape.low[row], self._landscape.high[row]
        unit = along / self.norm.size(along.unsqueeze(0))
        delta = self.points[row] - self._landscape.images[row] + column(self.size[row]) * unit
        delta = torch.clamp(delta, low, high)
        return Lanes(row, self._entered[row], low, high, delta, delta)


def bfloat16_can_steer(model: Model, images: Tensor, classes: Tensor) -> Tensor:
    """Return for which images [n] bfloat16 can steer the race, and faster than float32 can.

    In narrow layers casting costs what bfloat16 saves, and a small lead is lost in its rounding.
    """
    layers = model.modules() if isinstance(model, nn.Module) else ()
    wide = any(isinstance(m, nn.Conv2d) and m.out_channels >= _WIDE for m in layers)
    if not (wide and multiplies_bfloat16(images.device.type)):
        return torch.zeros_like(classes, dtype=torch.bool)
    logits = model(images)
    lead, _ = _lead_over_all(logits, classes)
    return lead > _SMALL_LEAD * logits.abs().amax(dim=1)


def _logit_of(logits: Tensor, classes: Tensor) -> Tensor:
    """Return the logit [L] of one class per row."""
    return logits.gather(1, column(classes)).squeeze(1)


def _lead_over_all(logits: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
    """Return the lead [L] of the own class over the best other class, and that class [L]."""
    others, rival = logits.scatter(1, column(own), -torch.inf).max(dim=1)
    return _logit_of(logits, own) - others, rival


def clear_lead(logits: Tensor) -> Tensor:
    """Return how far past the boundary to aim [L], for logits [L, C]: twice the rounding error."""
    return 2 * _ROUNDING * logits.abs().amax(dim=1)


def without_zero_rows(gradient: Tensor) -> Tensor:
    """Replace gradients [L, P] that vanish by a fixed direction."""
    vanished = dot(gradient, gradient) == 0
    if vanished.any():
        gradient = torch.where(column(vanished), fixed_pattern(gradient, seed=0), gradient)
    return gradient


def fixed_pattern(like: Tensor, seed: int) -> Tensor:
    """Draw normal random numbers [P], the same for every example and on every device."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(like.shape[1], generator=generator).to(like.device)
