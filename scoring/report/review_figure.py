"""The figure of a label review: how many labels are wrong, and which probabilities are right."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scoring.analysis.review_findings import ALL, STRATUM
from scoring.report.drawing import OUTLYING, PROTOTYPICAL, styled
from scoring.store.keys import SPLITS
from scoring.tables.findings import Finding

_Values = Mapping[tuple[str, str, str], float]
_COUNTS = {"wrong": "wrong labels", "ambiguous": "ambiguous labels"}
_MEASURED: dict[str, Any] = {"color": PROTOTYPICAL, "label": "measured"}
_EXPECTED: dict[str, Any] = {
    "color": OUTLYING,
    "markersize": 14,
    "markeredgewidth": 2,
    "label": "expected",
}


@styled
def review(findings: Sequence[Finding]) -> Figure:
    """Draw the estimated counts, and the share of wrong labels in each stratum."""
    found = {(f.subject, f.part, f.measure): f.value for f in findings}
    figure = Figure(figsize=(9, 2.4), layout="constrained")
    counts, strata = figure.subplots(1, 2)
    _draw_counts(counts, found)
    _draw_strata(strata, found)
    return figure


def _draw_counts(axes: Axes, found: _Values) -> None:
    """Draw a row for each kind of label: its interval, its estimate, what was expected."""
    for row, measure in enumerate(_COUNTS):
        value, low, high = (found[ALL, "", f"{measure}{end}"] for end in ("", "_low", "_high"))
        axes.plot([low, high], [row, row], color=PROTOTYPICAL, linewidth=2)
        axes.plot(value, row, "o", **_MEASURED)
    axes.plot(found[ALL, "", "expected_wrong"], 0, "|", **_EXPECTED)
    axes.set(title="labels in the split, with 90 % interval", ylim=(1.6, -0.6))
    axes.set_yticks(range(len(_COUNTS)), [*_COUNTS.values()])
    axes.set_xlim(left=0)


def _draw_strata(axes: Axes, found: _Values) -> None:
    """Draw the measured and the expected share over the strata."""
    parts = [part for subject, part, measure in found if (subject, measure) == (STRATUM, "share")]
    for measure, marker, style in (
        ("share", "o", _MEASURED),
        ("expected_share", "_", _EXPECTED),
    ):
        shares = [found.get((STRATUM, part, measure), np.nan) for part in parts]
        axes.plot(range(len(parts)), shares, marker, **style)
    axes.set(title="share of wrong labels", xlabel="by their probability, from", ylim=(-0.05, 1.05))
    axes.set_xticks(range(len(parts)), [part.removeprefix("from ") for part in parts])
    axes.legend(frameon=False)


FIGURES: Mapping[str, Callable[[Sequence[Finding]], str]] = {
    f"review_{split}": review for split in SPLITS
}
"""The evaluations that this module draws, and the function that draws them."""
