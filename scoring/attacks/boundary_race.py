"""Boundary race: find the smallest perturbation that changes the class, in few passes.

How small a perturbation gets depends less on the last percent of convergence than on choosing the
nearest class and the nearest bend of the boundary. So several classes race, and passes go to those
that can still win. For an image x of class y, f_t = z_y - z_t is the lead over class t, z = logits:

1. Line up. One forward pass, and one backward pass for each of the K likeliest other classes.
   d_t is the smallest step in the box to the plane where the linearised f_t is 0; a class whose
   plane is much farther away than the nearest one does not start.
2. Race. Each step evaluates f and its gradient g at x + d, in one forward and one backward pass:
   - s = 1 - f / (g . d) is Newton's step along the ray: it puts the boundary at s d, s |d| away;
   - a class drops out if its s |d| exceeds the example's smallest by more than a shrinking slack;
   - u is the smallest step in the box to the plane g . u = g . d - f;
   - d <- s d + a (u - s d) + b (d - d_before). Planes alone do not converge: the boundary of a ReLU
     net is rough, and its planes turn by some ten degrees within a fiftieth of d. The weight a
     falls like 2 / k, which averages planes, and the momentum b speeds up the rest.
   A class that hardly moves any more has arrived. All evaluations but the last may be in bfloat16,
   which steers as well unless the lead at x is small. Float32 decides, and a thorough search
   continues in it.
3. Cross. Forward passes find where the ray through d leaves y, by the secant method in a bracket.
4. Kick. Perturb the best point so far by a fixed pattern of its own size, line up on the plane seen
   from there, and race again towards the class found (iterated local search). A short race finds
   the nearest class if its slack is wide, since one class may gain a fifth on another between its
   first plane and its boundary. A second, longer race often finds a nearer bend, and ends nearer
   than a single race as long as both.

Every point that the model was seen to put in another class is a candidate; the nearest one counts.

Borrowed: nearest linearised classes from DeepFool (Moosavi-Dezfooli et al., CVPR 2016,
arXiv:1511.04599); the projection onto a plane in the box, and going back along it, from FAB (Croce
& Hein, ICML 2020, arXiv:1907.02044); steps that decay around a radius kept for each example from
DDN (Rony et al., CVPR 2019, arXiv:1811.09600) and FMN (Pintor et al., NeurIPS 2021,
arXiv:2102.12827). Ours: the race, its slack, Newton along the ray with momentum, the kicks.

Every quantity belongs to one example and random patterns are fixed, so apart from rounding no
result depends on the rest of the batch. A pass holds at most as many rows as the batch, or 32.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from scoring.arrays import Floats
from scoring.attacks.common import perturbation_norms
from scoring.attacks.efforts import EFFORTS, Effort, EffortName, Heat
from scoring.attacks.lanes import (
    Best,
    Landscape,
    Lanes,
    Model,
    Rows,
    bfloat16_can_steer,
    clear_lead,
    fixed_pattern,
    without_zero_rows,
)
from scoring.attacks.norms import Norm, column, dot

_FINE = 1  # steps at the end of a race that are never in bfloat16
_STRETCH = 1.5  # largest factor by which one step may change the radius
_OVERSHOOT = 1 + 5e-4  # aims iterates just across the boundary
_ARRIVED = 1e-3  # of the radius: a step this short is the last
_CROSSINGS = 4  # forward passes to find where a ray crosses the boundary
_NUDGE = 2e-6  # of the radius: overshoot beyond the estimated crossing, more after each miss
_APART = 1e-4  # of the radius: points closer than this differ only by rounding


def race_distance(
    model: Model, images: Tensor, classes: Tensor, norm: Norm, effort: EffortName
) -> Floats:
    """Return the norm of the smallest change found, [n] float64, NaN where there is none.

    The arguments are those of `smallest_change`.
    """
    points, changed = smallest_change(model, images, classes, norm, effort)
    return perturbation_norms(points, images, changed, norm.order)


@torch.no_grad()
def smallest_change(
    model: Model, images: Tensor, classes: Tensor, norm: Norm, effort: EffortName
) -> tuple[Tensor, Tensor]:
    """Race each image to the nearest point of another class.

    Args:
        model: returns logits [n, C]; in eval mode, its parameters require no gradient.
        images: [n, D, H, W] float32 in [0, 1].
        classes: [n] int64, the class that the model gives each image.
        norm: the norm to minimise.
        effort: how hard to search; where it finds nothing, a thorough search in float32 follows.

    Returns:
        The nearest points found [n, D, H, W] in [0, 1], the image itself where there is none, and
        whether there is one, [n] bool.
    """
    points, changed = images.clone(), torch.zeros_like(classes, dtype=torch.bool)
    coarse = bfloat16_can_steer(model, images, classes)
    for rows, in_bfloat16 in ((coarse, True), (~coarse, False)):
        if rows.any():
            landscape = Landscape(model, images[rows], classes[rows], in_bfloat16=in_bfloat16)
            points[rows], changed[rows] = _search(landscape, norm, EFFORTS[effort])
    left = ~changed
    if left.any():
        landscape = Landscape(model, images[left], classes[left], in_bfloat16=False)
        points[left], changed[left] = _search(landscape, norm, EFFORTS["thorough"])
    return points, changed


def _search(landscape: Landscape, norm: Norm, effort: Effort) -> tuple[Tensor, Tensor]:
    best = Best(landscape, norm)
    for heat in effort.heats:
        for race, steps in enumerate(heat.races):
            if race:
                lanes = _kick(landscape, best, seed=race, exact=heat.exact)
            else:
                lanes = _line_up(landscape, norm, heat)
            if len(lanes.row):
                _cross(landscape, best, *_race(landscape, best, lanes, heat, steps))
    return landscape.as_images(best.points), torch.isfinite(best.size)


@dataclass
class _Estimate(Rows):
    """Estimate of the boundary from each of L lanes."""

    lead: Tensor
    """[L] f."""
    gradient: Tensor
    """[L, P] g."""
    slope: Tensor
    """[L] g . d."""
    stretch: Tensor
    """[L] s: the boundary is estimated at s d."""
    radius: Tensor
    """[L] s |d|."""


def _line_up(landscape: Landscape, norm: Norm, heat: Heat) -> Lanes:
    """Start a lane for each class whose linearised boundary is near, on that boundary."""
    points = landscape.images.clone().requires_grad_()
    with torch.enable_grad():
        logits = landscape.logits(points)
        others = logits.detach().scatter(1, column(landscape.classes), -torch.inf)
        targets = others.topk(min(heat.classes, others.shape[1] - 1), dim=1).indices
        leads = logits.gather(1, column(landscape.classes)) - logits.gather(1, targets)
        starts = []
        for target in range(targets.shape[1]):
            (gradient,) = torch.autograd.grad(leads[:, target].sum(), points, retain_graph=True)
            beyond = -leads[:, target].detach() - clear_lead(logits.detach())
            gradient = without_zero_rows(gradient)
            starts.append(norm.nearest(gradient, beyond, landscape.low, landscape.high))
    deltas = torch.stack(starts, dim=1)  # [n, K, P]
    distance = torch.linalg.vector_norm(deltas, norm.order, dim=2)
    near = distance <= heat.gate * distance.amin(dim=1, keepdim=True)
    row, rank = near.nonzero(as_tuple=True)
    delta = deltas[row, rank]
    return Lanes(row, targets[row, rank], landscape.low[row], landscape.high[row], delta, delta)


def _kick(landscape: Landscape, best: Best, *, seed: int, exact: bool) -> Lanes:
    """Start a lane for each example, on the boundary as estimated from its kicked best point."""
    lanes = best.kicked(fixed_pattern(landscape.low, seed))
    if len(lanes.row):
        estimate = _estimate(landscape, best, lanes, coarse=landscape.in_bfloat16 and not exact)
        lanes.delta = lanes.before = _onto_plane(best.norm, lanes, estimate)
    return lanes


def _race(
    landscape: Landscape, best: Best, lanes: Lanes, heat: Heat, steps: int
) -> tuple[Lanes, Tensor]:
    """Run a race; return the lanes that arrived and the slope [L] of the lead along their rays."""
    norm = best.norm
    exact_from = 1 if heat.exact or not landscape.in_bfloat16 else steps - _FINE + 1
    arrived: list[tuple[Lanes, Tensor]] = []
    settled = torch.full_like(best.size, torch.inf)  # least radius of an example's arrived lanes
    for step in range(1, steps + 1):
        estimate = _estimate(landscape, best, lanes, coarse=step < exact_from)
        nearest = settled.scatter_reduce(0, lanes.row, estimate.radius, "amin")
        racing = ~(estimate.radius > (1 + heat.slack / (step + 1)) * nearest[lanes.row])
        lanes, estimate = lanes.select(racing), estimate.select(racing)
        lanes.before, lanes.delta = lanes.delta, _step(norm, lanes, estimate, step, steps)
        moved = norm.size(lanes.delta - lanes.before)
        done = (moved <= _ARRIVED * estimate.radius) | (step == steps)
        if done.any():
            arrived.append((lanes.select(done), estimate.slope[done]))
            settled = settled.scatter_reduce(0, lanes.row[done], estimate.radius[done], "amin")
            lanes = lanes.select(~done)
        if not len(lanes.row):
            break
    ends, slopes = zip(*arrived, strict=True)
    return Lanes.concatenate(ends), torch.cat(slopes)


def _estimate(landscape: Landscape, best: Best, lanes: Lanes, *, coarse: bool) -> _Estimate:
    """Estimate the boundary with one forward and one backward pass for each lane."""
    lead, gradient, logits = landscape.lead_and_gradient(lanes, coarse=coarse)
    if not coarse:
        best.offer(lanes, lanes.delta, logits)
    slope = dot(gradient, lanes.delta)
    stretch = torch.where(slope < 0, 1 - lead / slope, _STRETCH).clamp(1 / _STRETCH, _STRETCH)
    return _Estimate(lead, gradient, slope, stretch, stretch * best.norm.size(lanes.delta))


def _onto_plane(norm: Norm, lanes: Lanes, estimate: _Estimate) -> Tensor:
    """Return u [L, P], shortened if it goes much farther than the estimated boundary."""
    plane = estimate.slope - estimate.lead
    u = norm.nearest(estimate.gradient, plane, lanes.low, lanes.high)
    u *= column((_STRETCH * estimate.radius / norm.size(u)).clamp(max=1))
    return u


def _step(norm: Norm, lanes: Lanes, estimate: _Estimate, step: int, steps: int) -> Tensor:
    """Return the perturbations [L, P] after a step."""
    u = _onto_plane(norm, lanes, estimate)
    first, last = norm.momentum
    momentum = first + (last - first) * (step - 1) / steps
    moved = torch.lerp(column(estimate.stretch) * lanes.delta, u, norm.pull / (step + norm.pull))
    moved.add_(lanes.delta - lanes.before, alpha=momentum).mul_(_OVERSHOOT)
    return torch.clamp(moved, lanes.low, lanes.high)


def _cross(landscape: Landscape, best: Best, lanes: Lanes, slope: Tensor) -> None:
    """Offer the points where rays leave their class, by the secant method within a bracket."""

    def lead_at(scale: Tensor) -> Tensor:
        deltas = torch.clamp(column(scale) * lanes.delta, lanes.low, lanes.high)
        return best.offer(lanes, deltas, landscape.logits(deltas - lanes.low))

    scale = torch.ones_like(slope)  # of the lane's perturbation
    inside, outside = torch.zeros_like(scale), torch.full_like(scale, torch.inf)
    lead = lead_at(scale)
    for crossing in range(_CROSSINGS - 1):
        leads = lead > 0
        inside, outside = torch.where(leads, scale, inside), torch.where(leads, outside, scale)
        guess = (scale - lead / slope) * (1 + _NUDGE * 3**crossing)
        fallback = torch.where(outside.isinf(), 1.05 * scale, (inside + outside) / 2)
        next_scale = torch.where((guess > inside) & (guess < outside), guess, fallback)
        next_lead = lead_at(next_scale)
        apart = (next_scale - scale).abs() > _APART
        slope = torch.where(apart, (next_lead - lead) / (next_scale - scale), slope)
        scale, lead = next_scale, next_lead
