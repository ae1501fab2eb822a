"""Scatters of points that evaluations found: clouds as pixels, however many, marks as lines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scoring.arrays import Floats
from scoring.report.drawing import INK, OUTLYING, PROTOTYPICAL, styled
from scoring.tables.findings import Finding

_GREY = "#8b8d96"  # on light and dark alike
_DPI = 200  # of clouds
_MARKED = 5  # points of each sign


@dataclass(frozen=True, kw_only=True)
class _Points:
    """P points."""

    part: npt.NDArray[np.str_]
    """[P]."""
    at: Mapping[str, Floats]
    """[P] by measure."""


@styled
def example(findings: Sequence[Finding]) -> Figure:
    """Influence, and representer value, of training examples by distance to a test example."""
    about = {f.measure: f for f in findings if f.subject.startswith("test ")}
    label, predicted, points = about["label"], about["predicted"], _points(findings, "train ")
    groups = [
        ("other classes", _GREY, ~np.isin(points.part, [label.part, predicted.part])),
        (f"predicted: {predicted.part}", PROTOTYPICAL, points.part == predicted.part),
    ]
    if label.part != predicted.part:
        groups.insert(1, (f"label: {label.part}", OUTLYING, points.part == label.part))
    figure = Figure(figsize=(9, 3.6), layout="constrained", dpi=_DPI)
    panels = {"influence": "influence on its loss", "representer": "representer value"}
    for axes, (way, name) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        axes.axhline(0, color=INK, linewidth=0.6)
        for group, colour, those in groups:
            _cloud(axes, points.at["distance"][those], points.at[way][those], colour, group)
        axes.set_xlabel("Euclidean distance of features")
        axes.set_ylabel(name)
    legend = axes.legend(
        frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), reverse=True, markerscale=2
    )
    for text in legend.get_texts():
        text.set_parse_math(False)  # a class may be called $
    number = label.subject.removeprefix("test ")
    figure.suptitle(
        f"Test example {number}; {len(points.part):,} of {label.rows:,} training examples",
        fontsize=9,
    )
    return figure


@styled
def plane(findings: Sequence[Finding]) -> Figure:
    """A test point in the plane, and what training points are to it in each way."""
    nothing = {f.subject: f.value for f in findings if f.measure == "negligible"}
    points, test = _points(findings, "train "), _points(findings, "test ")
    x, y = points.at["x"], points.at["y"]
    panels = {
        "representer": ("Representer values", 1),
        "influence as trained": ("Influence, net as trained", -1),
        "influence": ("Influence, its last layer at rest", -1),
    }
    figure = Figure(figsize=(9, 3.4), layout="constrained", dpi=_DPI)
    for axes, (way, (title, sign)) in zip(figure.subplots(1, 3), panels.items(), strict=True):
        for part, colour in (("class 0", OUTLYING), ("class 1", PROTOTYPICAL)):
            _cloud(axes, x[points.part == part], y[points.part == part], colour, part)
        silent = np.abs(points.at[way]) <= nothing[way]
        axes.plot(
            x[silent],
            y[silent],
            "x",
            color=_GREY,
            label="says nothing",
            markersize=3,
            markeredgewidth=0.6,
            rasterized=True,
        )
        speaks = sign * points.at[way]
        for marker, label, side in (("+", "speaks for", speaks), ("_", "speaks against", -speaks)):
            strongest = np.argsort(-side, kind="stable")[:_MARKED]
            those = strongest[side[strongest] > nothing[way]]
            axes.plot(x[those], y[those], marker, color=INK, label=label, markersize=9)
        axes.plot(test.at["x"], test.at["y"], "s", color=INK, label="test point", markersize=6)
        axes.set_title(title)
        axes.set_aspect("equal")
        axes.set_xticks([])
        axes.set_yticks([])
    figure.legend(
        *axes.get_legend_handles_labels(), frameon=False, loc="outside lower center", ncols=6
    )
    return figure


@styled
def pair(findings: Sequence[Finding]) -> Figure:
    """Examples by their percentiles of two metrics; on the diagonal the two agree."""
    points = _points(findings, "example ")
    figure = Figure(figsize=(4.2, 4.2), layout="constrained", dpi=_DPI)
    axes = figure.subplots()
    axes.axline((0, 0), slope=1, color=INK, linewidth=0.6)
    (one, x), (other, y) = points.at.items()
    _cloud(axes, x, y, PROTOTYPICAL, "examples")
    axes.set(xlabel=f"{one}, percentile", ylabel=f"{other}, percentile", aspect="equal")
    return figure


def _points(findings: Sequence[Finding], prefix: str) -> _Points:
    """The points whose subject begins so."""
    found: dict[str, dict[str, float]] = {}
    parts: dict[str, str] = {}
    for finding in findings:
        if finding.subject.startswith(prefix):
            found.setdefault(finding.subject, {})[finding.measure] = finding.value
            parts[finding.subject] = finding.part
    measures = next(iter(found.values()))
    return _Points(
        part=np.array(list(parts.values())),
        at={m: np.array([numbers[m] for numbers in found.values()]) for m in measures},
    )


def _cloud(axes: Axes, x: Floats, y: Floats, colour: str, label: str) -> None:
    axes.plot(
        x,
        y,
        "o",
        color=colour,
        label=label,
        alpha=0.5,
        markersize=3,
        markeredgewidth=0,
        rasterized=True,
    )
