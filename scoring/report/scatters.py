"""Scatter plots of evaluations: clouds of points are drawn as pixels, marks as vector lines.

So a figure stays small however many points it has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scoring.arrays import Floats, Strings
from scoring.report.drawing import INK, OUTLYING, PROTOTYPICAL, as_label, styled
from scoring.tables.findings import Finding

_GREY = "#8b8d96"  # readable on light and on dark pages
_DPI = 200  # of the clouds
_MARKED = 5  # strongest points of each sign


@dataclass(frozen=True, kw_only=True)
class _Points:
    """P points."""

    part: Strings
    """[P] class of each point."""
    values: Mapping[str, Floats]
    """[P] by measure."""


@styled
def example(findings: Sequence[Finding]) -> Figure:
    """Draw influence and representer values of training examples by distance to a test example."""
    test = {f.measure: f for f in findings if f.subject.startswith("test ")}
    label, predicted, points = test["label"], test["predicted"], _points(findings, "train ")
    groups = [
        ("other classes", _GREY, ~np.isin(points.part, [label.part, predicted.part])),
        (as_label(f"predicted: {predicted.part}"), PROTOTYPICAL, points.part == predicted.part),
    ]
    if label.part != predicted.part:
        groups.insert(1, (as_label(f"label: {label.part}"), OUTLYING, points.part == label.part))
    figure = Figure(figsize=(9, 3.6), layout="constrained", dpi=_DPI)
    panels = {"influence": "influence on the loss", "representer": "representer value"}
    for axes, (measure, name) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        axes.axhline(0, color=INK, linewidth=0.6)
        for group, colour, mask in groups:
            x, y = points.values["distance"][mask], points.values[measure][mask]
            _cloud(axes, x, y, colour, group)
        axes.set_xlabel("Euclidean distance of features")
        axes.set_ylabel(name)
    axes.legend(
        frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), reverse=True, markerscale=2
    )
    number = label.subject.removeprefix("test ")
    figure.suptitle(
        f"Test example {number}; {len(points.part):,} of {label.rows:,} training examples",
        fontsize=9,
    )
    return figure


@styled
def plane(findings: Sequence[Finding]) -> Figure:
    """Draw a test point in the plane, and how each method rates the training points."""
    negligible = {f.subject: f.value for f in findings if f.measure == "negligible"}
    points, test = _points(findings, "train "), _points(findings, "test ")
    x, y = points.values["x"], points.values["y"]
    panels = {
        "representer": ("Representer values", 1),
        "influence as trained": ("Influence, net as trained", -1),
        "influence": ("Influence, last layer at rest", -1),
    }
    figure = Figure(figsize=(9, 3.4), layout="constrained", dpi=_DPI)
    for axes, (method, (title, sign)) in zip(figure.subplots(1, 3), panels.items(), strict=True):
        for part, colour in (("class 0", OUTLYING), ("class 1", PROTOTYPICAL)):
            _cloud(axes, x[points.part == part], y[points.part == part], colour, part)
        _mark_ends(axes, x, y, sign * points.values[method], negligible[method])
        axes.plot(*(test.values[n] for n in "xy"), "s", color=INK, label="test point", markersize=6)
        axes.set_title(title)
        axes.set_aspect("equal")
        axes.set_xticks([])
        axes.set_yticks([])
    figure.legend(
        *axes.get_legend_handles_labels(), frameon=False, loc="outside lower center", ncols=6
    )
    return figure


def _mark_ends(axes: Axes, x: Floats, y: Floats, support: Floats, negligible: float) -> None:
    """Mark the points [P] that support a prediction most, oppose it most, or hardly matter."""
    silent = np.abs(support) <= negligible
    axes.plot(
        x[silent],
        y[silent],
        "x",
        color=_GREY,
        label="negligible",
        markersize=3,
        markeredgewidth=0.6,
        rasterized=True,
    )
    for marker, label, strength in (("+", "supports", support), ("_", "opposes", -support)):
        strongest = np.argsort(-strength, kind="stable")[:_MARKED]
        marked = strongest[strength[strongest] > negligible]
        axes.plot(x[marked], y[marked], marker, color=INK, label=label, markersize=9)


@styled
def pair(findings: Sequence[Finding]) -> Figure:
    """Draw examples by their percentiles of two metrics, which agree on the diagonal."""
    points = _points(findings, "example ")
    figure = Figure(figsize=(4.2, 4.2), layout="constrained", dpi=_DPI)
    axes = figure.subplots()
    axes.axline((0, 0), slope=1, color=INK, linewidth=0.6)
    (one, x), (other, y) = points.values.items()
    _cloud(axes, x, y, PROTOTYPICAL, "examples")
    axes.set(xlabel=f"{one}, percentile", ylabel=f"{other}, percentile", aspect="equal")
    return figure


def _points(findings: Sequence[Finding], prefix: str) -> _Points:
    """Collect the points whose subject begins with a prefix."""
    values: dict[str, dict[str, float]] = {}
    parts: dict[str, str] = {}
    for finding in findings:
        if finding.subject.startswith(prefix):
            values.setdefault(finding.subject, {})[finding.measure] = finding.value
            parts[finding.subject] = finding.part
    measures = next(iter(values.values()))
    return _Points(
        part=np.array(list(parts.values())),
        values={m: np.array([numbers[m] for numbers in values.values()]) for m in measures},
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
