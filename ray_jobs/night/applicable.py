"""Which metrics such examples and such a net can have."""

from ray_jobs.night.models import Models
from ray_jobs.night.request import Request
from scoring.data.sources import Layout
from scoring.data.texts import TextShape
from scoring.errors import UserError
from scoring.spec import MetricSpec, Signal


def suited(asked: Request, layout: Layout, models: Models) -> tuple[MetricSpec, ...]:
    """The metrics asked for, without those that cannot be computed.

    Raises:
        UserError: one of these was asked for by name, or none is left.
    """
    reasons = {spec.name: _why_not(spec, layout, models) for spec in asked.metrics}
    for name in dict.fromkeys(asked.flags.metrics):
        if reasons.get(name):  # without a reason where runs failed and their metric was left out
            raise UserError(f"--metrics: expected metrics without {name}, {reasons[name]}")
    return tuple(spec for spec in asked.metrics if not reasons[spec.name])


def _why_not(spec: MetricSpec, layout: Layout, models: Models) -> str:
    """Why a metric cannot be computed; "" where it can."""
    if spec.images_only and isinstance(layout.shape, TextShape):
        return "which needs pixels, got texts"
    if spec.signal is Signal.PRIVATE and models.private_form == "none":
        return f"which trains privately, got --net {models.settings['net']} with recurrent layers"
    return ""
