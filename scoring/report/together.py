"""Figures that compare metrics: how they agree, and which examples they single out together."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import matplotlib as mpl
import numpy as np
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from scoring.analysis.statistics import TENTHS
from scoring.arrays import Floats
from scoring.report.drawing import OUTLYING, PROTOTYPICAL, as_label, styled
from scoring.store.keys import SPLITS
from scoring.tables.findings import Finding

_CLEAR_OUTLYING, _CLEAR_PROTOTYPICAL = f"{OUTLYING}00", f"{PROTOTYPICAL}00"
_AGREEMENT = LinearSegmentedColormap.from_list(
    "agreement",
    [(0, OUTLYING), (0.5, _CLEAR_OUTLYING), (0.5, _CLEAR_PROTOTYPICAL), (1, PROTOTYPICAL)],
)
_DISTANCE = LinearSegmentedColormap.from_list("distance", [PROTOTYPICAL, _CLEAR_PROTOTYPICAL])
_PANEL = 1.65  # inches; two fit a narrow page
_LINE = 60  # characters in a line of class names
_CLASSES = 20  # as many as colours can tell apart


def correlations(findings: Sequence[Finding]) -> str:
    """Draw heat maps of how metrics agree, with one measure on each side of the diagonal.

    Each is a figure of its own, so that a narrow page shows one below the other.
    """
    found = {(f.subject, f.part, f.measure): f.value for f in findings}
    lowest, highest = dict.fromkeys(f.part for f in findings if f.measure == "jaccard_distance")
    metrics = list(dict.fromkeys(name for f in findings for name in f.subject.split(" x ")))
    correlation = [("", "pearson"), ("", "spearman")]
    distance = [(lowest, "jaccard_distance"), (highest, "jaccard_distance")]
    ends = f"{lowest} below, {highest} above".replace(" %", "%")
    maps = {
        "Correlation\nPearson below, Spearman above": (correlation, _AGREEMENT, -1),
        f"Jaccard distance\n{ends}": (distance, _DISTANCE, 0),
    }
    drawn = []
    for title, ((below, above), shades, least) in maps.items():
        grid = np.full((len(metrics), len(metrics)), np.nan)
        for i, j in combinations(range(len(metrics)), 2):
            pair = f"{metrics[i]} x {metrics[j]}"
            grid[j, i], grid[i, j] = (found.get((pair, *m), np.nan) for m in (below, above))
        drawn.append(_draw_map(title, grid, metrics, shades, least))
    return "".join(drawn)


def classes(findings: Sequence[Finding]) -> str:
    """Draw the share of each class in the tenths of every ranking, the most outlying tenth first.

    Each ranking is a figure of its own, and so are the names of the classes, so that they fit any
    page. If there are many classes, only those with the largest share of any tenth are drawn.
    """
    prefix = "share of "
    found = {(f.subject, f.part, f.measure): f.value for f in findings}
    of_classes = [f for f in findings if f.measure.startswith(prefix)]
    largest: dict[str, float] = {}
    for f in of_classes:
        largest[f.measure] = max(f.value, largest.get(f.measure, 0.0))
    shown = sorted(largest, key=lambda share: -largest[share])[:_CLASSES]
    shares = [share for share in largest if share in shown]
    shades = mpl.colormaps["turbo"](np.linspace(0.05, 0.95, len(shares)))
    drawn = []
    for metric in dict.fromkeys(f.subject for f in findings):
        tenths = [str(tenth + 1) for tenth in range(TENTHS)]
        values = [[found.get((metric, t, share), 0.0) for t in tenths] for share in shares]
        drawn.append(_draw_shares(metric, 100 * np.array(values), shades))
    names = [as_label(share.removeprefix(prefix)) for share in shares]
    return "".join([*drawn, _draw_names(names, shades)])


@styled
def _draw_shares(metric: str, values: Floats, shades: Floats) -> Figure:
    figure = Figure(figsize=(_PANEL, 1.5), layout="constrained")
    axes = figure.subplots()
    axes.stackplot(range(1, TENTHS + 1), values, colors=shades)
    axes.set(title=metric, xticks=[1, TENTHS], xlim=(1, TENTHS), ylim=(0, 100))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}%")
    return figure


@styled
def _draw_names(names: Sequence[str], shades: Floats) -> Figure:
    across = max(1, min(3, _LINE // (max(map(len, names), default=0) + 6)))
    figure = Figure(figsize=(2 * _PANEL, 0.2 + 0.19 * -(-len(names) // across)))
    patches = [Patch(color=shade) for shade in shades]
    figure.legend(patches, names, frameon=False, loc="center left", ncols=across)
    return figure


@styled
def sets(findings: Sequence[Finding]) -> Figure:
    """Draw the share of each class that belongs to each set, for the first classes."""
    found = {
        (f.subject, f.part): 100 * f.value / f.rows
        for f in findings
        if f.measure == "examples" and f.rows and " x " not in f.subject
    }
    names = list(dict.fromkeys(name for name, _ in found))
    parts = list(dict.fromkeys(part for _, part in found))[: 1 + _CLASSES]
    figure = Figure(figsize=(9, 0.7 + 0.2 * len(parts)), layout="constrained")
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False).flat
    for axes, name in zip(panels, names, strict=True):
        shares = [found.get((name, part), 0.0) for part in parts]
        colours = [OUTLYING if part == "all" else PROTOTYPICAL for part in parts]
        axes.barh(range(len(parts)), shares, color=colours)
        axes.set_title(name.replace("_", " "))
        axes.set_yticks(range(len(parts)), map(as_label, parts))
        axes.invert_yaxis()
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}%")
    return figure


FIGURES: Mapping[str, Callable[[Sequence[Finding]], str]] = {
    f"{name}_{split}": draw
    for name, draw in (("correlations", correlations), ("classes", classes), ("sets", sets))
    for split in SPLITS
}
"""The evaluations that this module draws, and the functions that draw them."""


@styled
def _draw_map(
    title: str, grid: Floats, names: Sequence[str], shades: Colormap, least: float
) -> Figure:
    """Draw a square of numbers from `least` to 1, each written in its cell; NaN stays empty."""
    side = 1.5 + 0.27 * len(names)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title)
    axes.imshow(grid, cmap=shades, vmin=least, vmax=1, interpolation="none")
    for i, j in np.argwhere(~np.isnan(grid)):
        number = f"{grid[i, j]:.2f}".replace("0.", ".", 1)
        axes.text(j, i, number, ha="center", va="center", fontsize=6)
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return figure
