"""Metrics that apply to these examples and this net."""

from ray_jobs.night.models import ChosenFleet
from ray_jobs.night.request import Request
from scoring.data.sources import Layout
from scoring.data.texts import TextShape
from scoring.errors import UserError
from scoring.spec import Metric, Signal


def applicable(request: Request, layout: Layout, fleet: ChosenFleet) -> tuple[Metric, ...]:
    """Return the requested metrics, without those that cannot be computed.

    Raises:
        UserError: the user named one that cannot be computed.
    """
    reasons = {metric.name: _why_not(metric, layout, fleet) for metric in request.metrics}
    for name in dict.fromkeys(request.flags.metrics):
        # A metric whose runs failed is still named by the flags, but no longer requested.
        if reason := reasons.get(name):
            raise UserError(f"--metrics: expected metrics without {name}, {reason}")
    return tuple(metric for metric in request.metrics if not reasons[metric.name])


def _why_not(metric: Metric, layout: Layout, fleet: ChosenFleet) -> str:
    """Say why a metric cannot be computed; "" if it can."""
    if metric.images_only and isinstance(layout.shape, TextShape):
        return "which needs pixels, got texts"
    if metric.signal is Signal.PRIVATE and fleet.private_form == "none":
        return f"which trains privately, got --net {fleet.settings['net']} with recurrent layers"
    return ""
