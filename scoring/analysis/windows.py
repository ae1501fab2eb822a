"""What a part of a ranking is worth to train on.

Carlini et al. 2019, arXiv:1910.13427, section 4 and Figures 6 to 10: nets are trained on examples
that stand together in a metric's ranking, and judged on the test examples. Cuts are of the ranking
of all examples, as there, or of each class's own. Position 0 % is the most outlying example, 100 %
the most prototypical.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scoring.analysis.scores import Scores
from scoring.analysis.seeds import mean_of
from scoring.analysis.statistics import DECILES, tenths
from scoring.arrays import Bools, Floats, Ints
from scoring.tables.findings import Finding

MOST, LEAST, RANDOM = "most prototypical", "least prototypical", "random"


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """The labelled examples that a metric ranks, the most outlying first."""

    ids: Ints
    """[N] int64."""
    labels: Ints
    """[N] int64."""


def ranking(scores: Scores, *, within_classes: bool = False) -> Ranking:
    """The labelled examples of a partition in the order of `rank`.

    Args:
        scores: the partition.
        within_classes: by their place in their own class instead; then any part of the ranking
            holds every class as often as the whole does.
    """
    rows = np.flatnonzero((scores.rank >= 0) & (scores.label >= 0))
    rows = rows[np.argsort(scores.rank[rows])]
    if within_classes:
        rows = rows[np.argsort(_place_in_class(scores.label[rows]), kind="stable")]
    return Ranking(ids=scores.ids[rows], labels=scores.label[rows])


def _place_in_class(labels: Ints) -> Floats:
    """Where in (0, 1) each of the examples [N] stands among those of its class."""
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    return place


def windows(count: int, rows: int, step: int) -> dict[str, Ints]:
    """Places [rows] of consecutive examples, by the position of their middle ("12.5 %").

    Args:
        count: N, how many are ranked.
        rows: in a window, at most N.
        step: from one window to the next; the last window ends with the ranking.
    """
    starts = [*range(0, count - rows, step), count - rows]
    return {
        f"{100 * (start + rows / 2) / count:.4g} %": np.arange(start, start + rows)
        for start in starts
    }


def ends(ids: Ints, size: int, seed: int) -> dict[str, Ints]:
    """Places [size] of the most and the least prototypical examples, and of some drawn by `seed`.

    What is drawn does not depend on the ranking; of one seed, the fewer are among the more.

    Args:
        ids: [N] int64, in the order of the ranking.
        size: at most N.
        seed: of the draw.
    """
    every = np.arange(len(ids))
    drawn = np.argsort(ids)[np.random.default_rng(seed).permutation(len(ids))]
    return {MOST: every[len(ids) - size :], LEAST: every[:size], RANDOM: drawn[:size]}


def mislabelled(ids: Ints, labels: Ints, share: float, classes: int, seed: int) -> Ints:
    """Labels [K] of which a share is another class, drawn uniformly from the others.

    What becomes of an example follows from its id and the seed, not from the slice that it is in.
    """
    draws = np.random.default_rng(seed).random((int(ids.max(initial=0)) + 1, 2))[ids]
    moved = 1 + (draws[:, 1] * (classes - 1)).astype(np.int64)
    return np.where(draws[:, 0] < share, (labels + moved) % classes, labels)


@dataclass(frozen=True, kw_only=True)
class Judge:
    """What nets that are trained on the same slice, but for the seed, say of test examples."""

    right: Bools
    """[S, N] whether each of S nets is right, in the order of the test examples' own ranking."""

    def accuracy(self, subject: str, part: str) -> Finding:
        """On all of them, `test_accuracy`."""
        return mean_of(subject, part, "test_accuracy", self.right.mean(axis=1))

    def of_prototypes(self, subject: str, part: str, percent: float) -> Finding:
        """On the most prototypical `percent` of them, `prototypical_test_accuracy`."""
        many = max(1, round(percent / 100 * self.right.shape[1]))
        means = self.right[:, -many:].mean(axis=1)
        return mean_of(subject, part, "prototypical_test_accuracy", means)

    def by_tenths(self, subject: str) -> list[Finding]:
        """`test_accuracy` on each tenth, "1" the most outlying; an empty tenth is left out."""
        tenth = tenths(np.arange(self.right.shape[1]))
        return [
            mean_of(subject, str(t + 1), "test_accuracy", self.right[:, tenth == t].mean(axis=1))
            for t in range(DECILES)
            if (tenth == t).any()
        ]


def crossing(most: Mapping[int, float], least: Mapping[int, float]) -> float:
    """How many examples it takes for the least prototypical to be worth more than the most.

    Args:
        most: number of examples to the accuracy of nets trained on the most prototypical.
        least: the same of the least prototypical.

    Returns:
        The first number at which they are worth the same after prototypes were worth more, between
        sizes as if the difference went straight along the logarithm of the number; NaN where they
        do not cross.
    """
    sizes: Sequence[int] = sorted(most.keys() & least.keys())
    lead = np.array([least[size] - most[size] for size in sizes])
    for i in range(len(sizes) - 1):
        if lead[i] < 0 <= lead[i + 1]:
            way = lead[i] / (lead[i] - lead[i + 1])
            return float(sizes[i] * (sizes[i + 1] / sizes[i]) ** way)
    return float("nan")
