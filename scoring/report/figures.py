"""Figures of the findings of evaluations."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from scoring.analysis.error_by_tenth import Errors
from scoring.analysis.statistics import TENTHS
from scoring.analysis.verdict import EVALUATION
from scoring.logs import logger
from scoring.report import review_figure, scatters, study_figure, together
from scoring.report.drawing import INK, OUTLYING, PROTOTYPICAL, SOFT, as_label, styled
from scoring.report.plain_figures import plain
from scoring.tables.findings import Finding

_log = logger(__name__)
_COMPARED = ("representer_self", "influence", "loss", "random")  # in Figure 2 of Yeh et al. 2018
_NAMED = 4  # of the other orders, how many of the best get a name
_PAPER_VOG = 0.8542  # mean AUROC of VoG in Table 1 of Agarwal et al. 2022


@styled
def errors_by_tenths(errors: Errors, highest: float) -> Figure:
    """Draw error rates by tenths of a ranking, with the overall rate as a dashed line.

    Args:
        errors: errors of one metric, the most outlying tenth first.
        highest: the highest rate of all figures in the group, which share one scale.
    """
    figure = Figure(figsize=(2.6, 1.3), layout="constrained")
    axes = figure.subplots()
    shades = LinearSegmentedColormap.from_list("ends", [OUTLYING, PROTOTYPICAL])
    rates = [100 * (rate or 0.0) for rate in errors.rates]
    axes.bar(range(1, TENTHS + 1), rates, color=shades(np.linspace(0, 1, TENTHS)), width=0.85)
    axes.axhline(100 * errors.rate, color=INK, linewidth=0.7, linestyle="--")
    axes.set_xticks([1, TENTHS], ["1", "10"])
    axes.set_ylim(0, 105 * highest or 1)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}%")
    return figure


@styled
def memorisation(findings: Sequence[Finding]) -> Figure:
    """Draw the AUROC of finding changed labels, before and after the nets memorise them."""
    auroc = {(f.subject, f.part): f.value for f in findings if f.measure == "auroc"}
    order = sorted(
        dict.fromkeys(subject for subject, _ in auroc), key=lambda name: auroc[name, "before"]
    )
    figure, axes = _rows(0.2, order)
    for stage, colour in (("before", PROTOTYPICAL), ("after", OUTLYING)):
        values = [auroc.get((name, stage), np.nan) for name in order]
        axes.plot(values, range(len(order)), "o", color=colour, label=stage, markersize=5)
    axes.axvline(0.5, color=SOFT, linewidth=0.8)
    axes.set_xlabel("AUROC of finding changed labels; 0.5 is chance")
    axes.legend(frameon=False, loc="lower right")
    return figure


@styled
def detection(findings: Sequence[Finding]) -> Figure:
    """Draw the AUROC of detecting corrupted images: a dot per corruption, a bar at the mean."""
    figure, axes = _means(findings, "auroc", "mean")
    axes.axvline(0.5, color=SOFT, linewidth=0.8)
    axes.axvline(_PAPER_VOG, color=INK, linewidth=0.7, linestyle=":")
    axes.set_xlabel("AUROC by corruption, and the mean; dotted: VoG in the paper, 0.854")
    return figure


@styled
def stability(findings: Sequence[Finding]) -> Figure:
    """Draw Spearman's correlation between trainings: a dot per pair, a bar at the mean."""
    figure, axes = _means(findings, "spearman", "all")
    axes.axvline(0, color=SOFT, linewidth=0.8)
    axes.set_xlabel("Spearman's correlation between the rankings of two trainings")
    return figure


@styled
def debugging(findings: Sequence[Finding]) -> Figure:
    """Draw flips found, and test accuracy after mending them, by the share inspected."""
    shares = {(f.measure, f.subject, f.part): f.value for f in findings}
    orders = dict.fromkeys(f.subject for f in findings)
    parts = sorted({f.part for f in findings}, key=_percent)
    last = {order: shares["flips_found", order, parts[-1]] for order in orders}
    best = sorted(set(orders) - {*_COMPARED}, key=lambda order: -last[order])[:_NAMED]
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    titles = {"flips_found": "Flipped labels found", "test_accuracy": "Test accuracy after mending"}
    for axes, (measure, title) in zip(figure.subplots(1, 2), titles.items(), strict=True):
        for order in sorted(orders, key=lambda order: order in best or order in _COMPARED):
            values = [100 * shares[measure, order, part] for part in parts]
            named = order in best or order in _COMPARED
            style = {"label": as_label(order)} if named else {"color": SOFT, "linewidth": 0.7}
            axes.plot([_percent(part) for part in parts], values, **style)
        axes.set_title(title)
        axes.set_xlabel("% of training examples inspected")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}%")
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


@styled
def representers(findings: Sequence[Finding]) -> Figure:
    """Draw how closely the sum of shares matches the net's own output, by penalty."""
    correlation = {
        (f.part, float(f.subject.removeprefix("lambda "))): f.value
        for f in findings
        if f.measure == "pearson"
    }
    figure = Figure(figsize=(4.5, 2.6), layout="constrained")
    axes = figure.subplots()
    for split, colour in (("train", PROTOTYPICAL), ("test", OUTLYING)):
        penalties = sorted(penalty for part, penalty in correlation if part == split)
        values = [1 - correlation[split, penalty] for penalty in penalties]
        axes.loglog(penalties, values, "o-", color=colour, label=split, markersize=4)
    for axis in (axes.xaxis, axes.yaxis):  # by default, powers are written as formulas
        axis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("penalty lambda")
    axes.set_ylabel("1 - Pearson's correlation")
    axes.legend(frameon=False)
    return figure


SCATTERS: Mapping[str, Callable[[Sequence[Finding]], str]] = {
    "pair_test": scatters.pair,
    "pair_train": scatters.pair,
    "representers_example": scatters.example,
    "toy_plane": scatters.plane,
}
"""Evaluations whose findings are points of a scatter, and the functions that draw them."""

FIGURES: Mapping[str, Callable[[Sequence[Finding]], str]] = {
    **SCATTERS,
    "debugging": debugging,
    "memorisation": memorisation,
    "representers": representers,
    "ood": detection,
    "stability_test": stability,
    "stability_train": stability,
    EVALUATION: lambda _: "",  # the page of labels says it in words
    **review_figure.FIGURES,
    **study_figure.FIGURES,
    **together.FIGURES,
}
"""Evaluations with a figure of their own, and the functions that draw it."""


def draw_evaluation(name: str, findings: Sequence[Finding]) -> str:
    """Return the svg element of an evaluation; "" if there is nothing to draw.

    Findings that another version made may have other parts than a figure is drawn of. The page then
    shows them without it.
    """
    try:
        return FIGURES.get(name, plain)(findings)
    except (ValueError, TypeError, LookupError, ArithmeticError, StopIteration) as error:
        _log.warning("no figure of %s: %s (%s)", name, error, type(error).__name__)
        return ""


def _percent(part: str) -> float:
    """Read the number in a part such as "30 %"."""
    return float(part.removesuffix("%"))


def _rows(height: float, names: Sequence[str]) -> tuple[Figure, Axes]:
    """Make axes with a row of `height` inches for each name, the first name at the bottom."""
    figure = Figure(figsize=(7.5, height * len(names) + 0.7), layout="constrained")
    axes = figure.subplots()
    axes.set_yticks(range(len(names)), map(as_label, names))
    axes.set_ylim(-0.7, len(names) - 0.3)
    return figure, axes


def _means(findings: Sequence[Finding], measure: str, mean: str) -> tuple[Figure, Axes]:
    """Draw a row for each subject, by rising mean: a dot per part, a bar for the part `mean`."""
    values = {(f.subject, f.part): f.value for f in findings if f.measure == measure}
    means = {subject: value for (subject, part), value in values.items() if part == mean}
    order = sorted(means, key=lambda name: means[name])
    figure, axes = _rows(0.26, order)
    for row, name in enumerate(order):
        each = [v for (subject, part), v in values.items() if subject == name and part != mean]
        axes.plot(each, [row] * len(each), ".", color=PROTOTYPICAL, alpha=0.55)
        axes.plot(means[name], row, "|", color=OUTLYING, markersize=13, markeredgewidth=2.5)
    return figure, axes
