"""Boundary race: the smallest perturbation that changes a class, in few passes through the net.

Which class and which bend of the boundary is nearest decides how small a perturbation gets, more
than the last percent of convergence. So several classes race, and passes go to those that may win.
For an image x of class y, f_t = z_y - z_t is the lead over class t, z = logits:

1. Line up. One forward pass, and one backward pass for each of the K likeliest other classes.
   d_t = the smallest step in the box to the plane where the linearised f_t is 0; a class whose
   plane is much farther than the nearest does not start.
2. Race. A step evaluates f and its gradient g at x + d, one forward and one backward pass:
   - s = 1 - f / (g . d): Newton along the ray; s d is where the boundary should be, s |d| how far;
   - a class whose s |d| is beyond the example's nearest drops out, by a slack that shrinks;
   - u = the smallest step in the box to the plane g . u = g . d - f;
   - d <- s d + a (u - s d) + b (d - d_before). Planes alone do not settle: a boundary of ReLUs is
     rough, its planes turn by some ten degrees within a fiftieth of d. The weight a falls like
     2 / k, which averages planes, and the momentum b speeds up what is left.
   A class that hardly moves any more has arrived. All looks but the last may be in bfloat16,
   which steers as well unless the lead at x is small; float32 decides, and goes on when thorough.
3. Cross. Forward passes find where the ray through d leaves y: the secant method in a bracket.
4. Kick. Perturb the best point found by a fixed pattern of its own size, line up on the plane seen
   from there, and race again towards the class found (iterated local search). A short race tells
   which class is nearest if its slack is wide, since a class may gain a fifth on another between
   its first plane and its boundary; a second, longer one often finds a nearer bend, and ends nearer
   than one race as long as both.

Whatever the model was seen to put in another class is a candidate; the smallest counts.

Borrowed: nearest linearised classes from DeepFool (Moosavi-Dezfooli et al., CVPR 2016,
arXiv:1511.04599); the projection onto a plane in the box, and going back along it, from FAB (Croce
& Hein, ICML 2020, arXiv:1907.02044); steps that decay around a radius kept for each example from
DDN (Rony et al., CVPR 2019, arXiv:1811.09600) and FMN (Pintor et al., NeurIPS 2021,
arXiv:2102.12827). Ours: the race, its slack, Newton along the ray with momentum, the kicks.

Every quantity belongs to one example, random patterns are fixed: no result depends on the examples
beside it, but for rounding. Passes hold at most as many rows as the batch, or 32.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from scoring.arrays import Floats
from scoring.attacks.common import norms_of
from scoring.attacks.efforts import EFFORTS, Effort, EffortName, Heat
from scoring.attacks.lanes import (
    Best,
    Field,
    Lanes,
    Model,
    Rows,
    alive,
    clear_lead,
    pattern,
    steered_by_bfloat16,
)
from scoring.attacks.norms import Norm, column, dot

_FINE = 1  # steps at the end of a race that are never in bfloat16
_STRETCH = 1.5  # of the radius, at most, in one step
_OVERSHOOT = 1 + 5e-4  # iterates are to lie just across the boundary
_ARRIVED = 1e-3  # of the radius: a step this short is the last
_CROSSINGS = 4
_NUDGE = 2e-6  # of the radius: beyond where the boundary should be, more with each miss
_APART = 1e-4  # of the radius: nearer points differ by rounding


def race_distance(
    model: Model, images: Tensor, classes: Tensor, norm: Norm, effort: EffortName
) -> Floats:
    """Norm of the smallest change found, [n] float64, NaN where there is none.

    Arguments are those of `smallest_change`.
    """
    points, changed = smallest_change(model, images, classes, norm, effort)
    return norms_of(points, images, changed, norm.order)


@torch.no_grad()
def smallest_change(
    model: Model, images: Tensor, classes: Tensor, norm: Norm, effort: EffortName
) -> tuple[Tensor, Tensor]:
    """Race each image to the nearest point of another class.

    Args:
        model: returns logits [n, C]; in eval mode, its parameters take no gradient.
        images: [n, D, H, W] float32 in [0, 1].
        classes: [n] int64, the class that the model gives each image.
        norm: what to make small.
        effort: how hard to look; what it finds nothing for gets the thorough one, in float32.

    Returns:
        The nearest points found [n, D, H, W] in [0, 1], the image itself where there is none, and
        whether there is one, [n] bool.
    """
    points, changed = images.clone(), torch.zeros_like(classes, dtype=torch.bool)
    clear = steered_by_bfloat16(model, images, classes)
    for rows, in_bfloat16 in ((clear, True), (~clear, False)):
        if rows.any():
            field = Field(model, images[rows], classes[rows], in_bfloat16=in_bfloat16)
            points[rows], changed[rows] = _search(field, norm, EFFORTS[effort])
    left = ~changed
    if left.any():
        field = Field(model, images[left], classes[left], in_bfloat16=False)
        points[left], changed[left] = _search(field, norm, EFFORTS["thorough"])
    return points, changed


def _search(field: Field, norm: Norm, effort: Effort) -> tuple[Tensor, Tensor]:
    best = Best(field, norm)
    for heat in effort.heats:
        for race, steps in enumerate(heat.races):
            if race:
                lanes = _kick(field, best, seed=race, exact=heat.exact)
            else:
                lanes = _line_up(field, norm, heat)
            if len(lanes.row):
                _cross(field, best, *_race(field, best, lanes, heat, steps))
    return field.as_images(best.points), torch.isfinite(best.size)


@dataclass
class _Sight(Rows):
    """What is seen of the boundary from each of L lanes."""

    lead: Tensor
    """[L] f."""
    gradient: Tensor
    """[L, P] g."""
    slope: Tensor
    """[L] g . d."""
    stretch: Tensor
    """[L] s: the boundary should be at s d."""
    radius: Tensor
    """[L] s |d|."""


def _line_up(field: Field, norm: Norm, heat: Heat) -> Lanes:
    """A lane for each class whose linearised boundary is near, standing on it."""
    points = field.images.clone().requires_grad_()
    with torch.enable_grad():
        logits = field.logits(points)
        others = logits.detach().scatter(1, column(field.classes), -torch.inf)
        targets = others.topk(min(heat.classes, others.shape[1] - 1), dim=1).indices
        leads = logits.gather(1, column(field.classes)) - logits.gather(1, targets)
        starts = []
        for target in range(targets.shape[1]):
            (gradient,) = torch.autograd.grad(leads[:, target].sum(), points, retain_graph=True)
            beyond = -leads[:, target].detach() - clear_lead(logits.detach())
            starts.append(norm.nearest(alive(gradient), beyond, field.low, field.high))
    deltas = torch.stack(starts, dim=1)  # [n, K, P]
    distance = torch.linalg.vector_norm(deltas, norm.order, dim=2)
    near = distance <= heat.gate * distance.amin(dim=1, keepdim=True)
    row, rank = near.nonzero(as_tuple=True)
    delta = deltas[row, rank]
    return Lanes(row, targets[row, rank], field.low[row], field.high[row], delta, delta)


def _kick(field: Field, best: Best, *, seed: int, exact: bool) -> Lanes:
    """A lane for each example, standing on the boundary as seen from its kicked best point."""
    lanes = best.kicked(pattern(field.low, seed))
    if len(lanes.row):
        sight = _look(field, best, lanes, coarse=field.in_bfloat16 and not exact)
        lanes.delta = lanes.before = _onto_plane(best.norm, lanes, sight)
    return lanes


def _race(field: Field, best: Best, lanes: Lanes, heat: Heat, steps: int) -> tuple[Lanes, Tensor]:
    """Run; returns the lanes that arrived and the slope [L] of the lead along their rays."""
    norm = best.norm
    exact_from = 1 if heat.exact or not field.in_bfloat16 else steps - _FINE + 1
    arrived: list[tuple[Lanes, Tensor]] = []
    settled = torch.full_like(best.size, torch.inf)  # least radius of an example's arrived lanes
    for step in range(1, steps + 1):
        sight = _look(field, best, lanes, coarse=step < exact_from)
        nearest = settled.scatter_reduce(0, lanes.row, sight.radius, "amin")
        racing = ~(sight.radius > (1 + heat.slack / (step + 1)) * nearest[lanes.row])
        lanes, sight = lanes.at(racing), sight.at(racing)
        lanes.before, lanes.delta = lanes.delta, _step(norm, lanes, sight, step, steps)
        moved = norm.size(lanes.delta - lanes.before)
        done = (moved <= _ARRIVED * sight.radius) | (step == steps)
        if done.any():
            arrived.append((lanes.at(done), sight.slope[done]))
            settled = settled.scatter_reduce(0, lanes.row[done], sight.radius[done], "amin")
            lanes = lanes.at(~done)
        if not len(lanes.row):
            break
    ends, slopes = zip(*arrived, strict=True)
    return Lanes.joined(ends), torch.cat(slopes)


def _look(field: Field, best: Best, lanes: Lanes, *, coarse: bool) -> _Sight:
    """One forward and one backward pass for each lane."""
    lead, gradient, logits = field.lead(lanes, coarse=coarse)
    if not coarse:
        best.offer(lanes, lanes.delta, logits)
    slope = dot(gradient, lanes.delta)
    stretch = torch.where(slope < 0, 1 - lead / slope, _STRETCH).clamp(1 / _STRETCH, _STRETCH)
    return _Sight(lead, gradient, slope, stretch, stretch * best.norm.size(lanes.delta))


def _onto_plane(norm: Norm, lanes: Lanes, sight: _Sight) -> Tensor:
    """Where to step [L, P]: u, not much farther than the boundary should be."""
    plane = sight.slope - sight.lead
    u = norm.nearest(sight.gradient, plane, lanes.low, lanes.high)
    u *= column((_STRETCH * sight.radius / norm.size(u)).clamp(max=1))
    return u


def _step(norm: Norm, lanes: Lanes, sight: _Sight, step: int, steps: int) -> Tensor:
    """Perturbations [L, P] after a step."""
    u = _onto_plane(norm, lanes, sight)
    first, last = norm.momentum
    momentum = first + (last - first) * (step - 1) / steps
    moved = torch.lerp(column(sight.stretch) * lanes.delta, u, norm.pull / (step + norm.pull))
    moved.add_(lanes.delta - lanes.before, alpha=momentum).mul_(_OVERSHOOT)
    return torch.clamp(moved, lanes.low, lanes.high)


def _cross(field: Field, best: Best, lanes: Lanes, slope: Tensor) -> None:
    """Offer the points where rays leave their class: the secant method, kept in a bracket."""

    def seen(times: Tensor) -> Tensor:
        deltas = torch.clamp(column(times) * lanes.delta, lanes.low, lanes.high)
        return best.offer(lanes, deltas, field.logits(deltas - lanes.low))

    at = torch.ones_like(slope)  # times the lane's perturbation
    inside, outside = torch.zeros_like(at), torch.full_like(at, torch.inf)
    lead = seen(at)
    for crossing in range(_CROSSINGS - 1):
        inside, outside = torch.where(lead > 0, at, inside), torch.where(lead > 0, outside, at)
        guess = (at - lead / slope) * (1 + _NUDGE * 3**crossing)
        fallback = torch.where(outside.isinf(), 1.05 * at, (inside + outside) / 2)
        then = torch.where((guess > inside) & (guess < outside), guess, fallback)
        lead_then = seen(then)
        apart = (then - at).abs() > _APART
        slope = torch.where(apart, (lead_then - lead) / (then - at), slope)
        at, lead = then, lead_then
