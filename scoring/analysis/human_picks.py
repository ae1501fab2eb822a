"""Where people's picks stand in rankings: Table 1 of Carlini et al. 2019.

For each metric, the share of picks in each tenth of its ranking, the most outlying tenth first: of
images picked as the best of their screen, and as the worst. Beside them stands the share of all
images that were on those screens, which is what picking at random comes to. The images of a screen
are of one class, so a metric that ranks whole classes says less about picks than its ranking within
the class does: the mean percentile within the class is 50 for picks at random whatever the metric,
and about 90 and 10 for picks that follow it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scoring.analysis.score_table import Scores
from scoring.analysis.statistics import TENTHS, tenths
from scoring.arrays import Ints
from scoring.data.studies import QUESTIONS, Screen
from scoring.tables.findings import Finding

SHOWN = "shown"
KINDS = (*QUESTIONS, SHOWN)
"""Kinds of counted images: picked as the best, picked as the worst, shown."""
CHOOSERS = "choosers"
"""Subject of the findings about the choosers themselves."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What one chooser picked."""

    screens: Sequence[Screen]
    picks: Sequence[int]
    """The cell picked on each screen, from 0."""

    @property
    def gold(self) -> int:
        """Number of gold questions."""
        return sum(screen.gold is not None for screen in self.screens)

    @property
    def right(self) -> int:
        """Number of gold questions answered rightly."""
        return sum(
            screen.gold == pick for screen, pick in zip(self.screens, self.picks, strict=True)
        )


def counted_images(answers: Iterable[Answers]) -> dict[str, Ints]:
    """Return example ids by kind, each as often as it was picked or shown.

    Gold questions do not count, nor do images that were forgotten since.
    """
    found: dict[str, list[int]] = {kind: [] for kind in KINDS}
    for each in answers:
        for screen, pick in zip(each.screens, each.picks, strict=True):
            picked = screen.shown[pick]
            if screen.gold is None and picked is not None:
                found[screen.question].append(picked)
                found[SHOWN] += [i for i in screen.shown if i is not None]
    return {kind: np.array(ids, dtype=np.int64) for kind, ids in found.items()}


def findings(metric: str, scores: Scores, images: Mapping[str, Ints]) -> list[Finding]:
    """Report the share of each kind of images in each tenth, and their mean percentiles.

    Images that the metric does not rank do not count; `rows` is the number of those that do.

    Args:
        metric: its name.
        scores: its ranking.
        images: example ids by kind.
    """
    order = np.argsort(scores.ids)
    tenth = tenths(scores.rank)
    found = []
    for kind, ids in images.items():
        at = order[np.minimum(np.searchsorted(scores.ids, ids, sorter=order), len(order) - 1)]
        at = at[(scores.ids[at] == ids) & (scores.rank[at] >= 0)]
        shares = (
            np.bincount(tenth[at], minlength=TENTHS) / len(at) if len(at) else [np.nan] * TENTHS
        )
        values = {(str(t + 1), "share"): float(share) for t, share in enumerate(shares)}
        for what in ("percentile", "class_percentile"):
            mean = scores.numbers(what)[at].mean() if len(at) else np.nan
            values["all", what] = float(mean)
        found += [
            Finding(subject=metric, part=part, measure=f"{kind}_{what}", value=value, rows=len(at))
            for (part, what), value in values.items()
        ]
    return found


def chooser_findings(counted: int, dropped: int) -> list[Finding]:
    """Report how many choosers counted, and how many failed the gold questions."""
    parts = {"counted": counted, "dropped": dropped}
    return [
        Finding(subject=CHOOSERS, part=part, measure="choosers", value=n, rows=counted + dropped)
        for part, n in parts.items()
    ]
