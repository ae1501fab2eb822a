"""Default figures, for evaluations without a figure of their own: one panel per measure.

Where parts are numbers ("30 %", "5 000"), each subject is a curve over them. Otherwise each subject
is a row with a dot per part and a bar at the value over all parts.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scoring.report.drawing import OUTLYING, PROTOTYPICAL, SOFT, as_label, styled
from scoring.tables.findings import Finding

_MOST_PANELS = 6
_PANELS_ACROSS = 2
_MOST_NAMED = 10  # curves; if there are more, only the ones that end highest and lowest
_MOST_ROWS = 40
_FEWEST_ON_A_CURVE = 3
_NUMBER = re.compile(r"^-?[\d., ]*\d(\.\d+)?(e-?\d+)?\s*%?$")
_ALL = ("all", "mean", "")


def plain(findings: Sequence[Finding]) -> str:
    """Return the svg element of some findings; "" if there is nothing to draw."""
    panels: dict[str, list[Finding]] = {}
    for finding in findings:
        panels.setdefault(finding.measure, []).append(finding)
    shown = dict(list(panels.items())[:_MOST_PANELS])
    return _draw(shown) if shown else ""


@styled
def _draw(panels: Mapping[str, Sequence[Finding]]) -> Figure:
    curves = {measure: _curves(found) for measure, found in panels.items()}
    across = min(_PANELS_ACROSS, len(panels))
    down = -(-len(panels) // across)
    rows = max(_rows_of(found) if not curves[m] else 12 for m, found in panels.items())
    figure = Figure(figsize=(4.6 * across, (0.22 * rows + 0.9) * down), layout="constrained")
    grid = list(figure.subplots(down, across, squeeze=False).flat)
    for measure, axes in zip(panels, grid, strict=False):
        axes.set_title(as_label(measure.replace("_", " ")))
        if curves[measure]:
            _draw_curves(axes, curves[measure])
        else:
            _draw_points(axes, panels[measure])
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    return figure


def _curves(findings: Sequence[Finding]) -> dict[str, dict[float, float]]:
    """Return the curve of each subject, part to value; empty unless parts are numbers."""
    found: dict[str, dict[float, float]] = {}
    for finding in findings:
        if _NUMBER.match(finding.part):
            found.setdefault(finding.subject, {})[_number(finding.part)] = finding.value
    longest = max((len(curve) for curve in found.values()), default=0)
    return found if longest >= _FEWEST_ON_A_CURVE else {}


def _number(part: str) -> float:
    return float(re.sub(r"[ ,%]", "", part))


def _draw_curves(axes: Axes, curves: Mapping[str, Mapping[float, float]]) -> None:
    last = {subject: curve[max(curve)] for subject, curve in curves.items()}
    order = sorted(last, key=lambda subject: -last[subject])
    half = _MOST_NAMED // 2
    named = order if len(order) <= _MOST_NAMED else order[:half] + order[-half:]
    drawn = {}
    for subject in sorted(curves, key=lambda subject: subject in named):
        style: dict[str, Any] = {} if subject in named else {"color": SOFT, "linewidth": 0.7}
        parts = sorted(curves[subject])
        values = [curves[subject][part] for part in parts]
        (drawn[subject],) = axes.plot(parts, values, marker=".", **style)
    axes.legend([drawn[n] for n in named], [*map(as_label, named)], frameon=False, fontsize=7)


def _rows_of(findings: Sequence[Finding]) -> int:
    return min(len({finding.subject for finding in findings}), _MOST_ROWS)


def _draw_points(axes: Axes, findings: Sequence[Finding]) -> None:
    by_subject: dict[str, dict[str, float]] = {}
    for finding in findings:
        by_subject.setdefault(finding.subject, {})[finding.part] = finding.value
    means = {
        subject: next((values[part] for part in _ALL if part in values), np.nan)
        for subject, values in by_subject.items()
    }
    order = sorted(by_subject, key=lambda s: (np.nan_to_num(means[s], nan=-np.inf), s))[
        -_MOST_ROWS:
    ]
    for row, subject in enumerate(order):
        each = [value for part, value in by_subject[subject].items() if part not in _ALL]
        axes.plot(each, [row] * len(each), ".", color=PROTOTYPICAL, alpha=0.55)
        axes.plot(means[subject], row, "|", color=OUTLYING, markersize=11, markeredgewidth=2.5)
    axes.set_yticks(range(len(order)), map(as_label, order))
    axes.set_ylim(-0.7, len(order) - 0.3)
