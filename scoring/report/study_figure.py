"""The figure of a human study: where picks stand in each ranking."""

from collections.abc import Callable, Mapping, Sequence

from matplotlib.figure import Figure

from scoring.analysis.human_picks import CHOOSERS, SHOWN
from scoring.analysis.statistics import TENTHS
from scoring.report.drawing import INK, OUTLYING, PROTOTYPICAL, as_label, styled
from scoring.store.keys import SPLITS
from scoring.tables.findings import Finding

_ACROSS = 4
_LINES = (
    ("worst", "picked as the worst", {"color": OUTLYING, "marker": "."}),
    ("best", "picked as the best", {"color": PROTOTYPICAL, "marker": "."}),
    (SHOWN, "all images shown", {"color": INK, "linestyle": "--", "linewidth": 0.7}),
)


@styled
def study(findings: Sequence[Finding]) -> Figure:
    """Draw the share of picks in the tenths of every ranking, the most outlying tenth first."""
    found = {(f.subject, f.part, f.measure): f.value for f in findings}
    metrics = list(dict.fromkeys(f.subject for f in findings if f.subject != CHOOSERS))
    rows = max(1, -(-len(metrics) // _ACROSS))
    figure = Figure(figsize=(9, 1.7 * rows + 0.5), layout="constrained")
    grid = list(figure.subplots(rows, _ACROSS, squeeze=False, sharex=True, sharey=True).flat)
    tenths = range(1, TENTHS + 1)
    for axes, metric in zip(grid, metrics, strict=False):
        for kind, label, style in _LINES:
            shares = [found.get((metric, str(t), f"{kind}_share"), float("nan")) for t in tenths]
            axes.plot(tenths, [100 * share for share in shares], label=label, **style)
        axes.set(title=as_label(metric), xticks=[1, TENTHS], ylim=(0, None))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}%")
    for axes in grid[len(metrics) :]:
        axes.set_visible(False)
    figure.legend(
        *grid[0].get_legend_handles_labels(), frameon=False, loc="outside lower center", ncols=3
    )
    return figure


FIGURES: Mapping[str, Callable[[Sequence[Finding]], str]] = {
    f"study_{split}": study for split in SPLITS
}
"""The evaluations that this module draws, and the function that draws them."""
