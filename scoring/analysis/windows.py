"""What different parts of a ranking are worth as training data.

Carlini et al. 2019, arXiv:1910.13427, section 4 and Figures 6 to 10: nets are trained on examples
that are neighbours in a metric's ranking and judged on the test examples. The ranking is that of
all examples, as in the paper, or that of each class. Position 0 % is the most outlying example,
100 % the most prototypical one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scoring.analysis.score_table import Scores
from scoring.analysis.seeds import mean_finding
from scoring.analysis.statistics import TENTHS, tenths
from scoring.arrays import Bools, Floats, Ints
from scoring.tables.findings import Finding

DEFAULT_METRICS = ("adv_l2",)
"""The metric whose ranking is sliced: one of the paper's, and it needs the base model alone."""
DEFAULT_ROBUSTNESS = ("adv_linf",)
"""The robustness of nets trained on windows: the distance to the boundary, as in Figure 10."""

MOST, LEAST, RANDOM = "most prototypical", "least prototypical", "random"


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """The labelled examples that a metric ranks, most outlying first."""

    ids: Ints
    """[N]."""
    labels: Ints
    """[N]."""


def ranking(scores: Scores, *, within_classes: bool = False) -> Ranking:
    """Return the labelled examples of a partition, sorted by `rank`.

    Args:
        scores: the partition.
        within_classes: sort by relative rank within the class instead, so that every part of the
            ranking has about the same share of each class.
    """
    rows = np.flatnonzero((scores.rank >= 0) & (scores.label >= 0))
    rows = rows[np.argsort(scores.rank[rows])]
    if within_classes:
        rows = rows[np.argsort(_place_in_class(scores.label[rows]), kind="stable")]
    return Ranking(ids=scores.ids[rows], labels=scores.label[rows])


def _place_in_class(labels: Ints) -> Floats:
    """Return the relative position [N] in (0, 1) of each example among those of its class."""
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    return place


def windows(count: int, rows: int, step: int) -> dict[str, Ints]:
    """Slide a window of `rows` consecutive places along a ranking.

    Args:
        count: N, the examples in the ranking.
        rows: the size of a window, at most N.
        step: the distance between windows; the last window ends where the ranking ends.

    Returns:
        The position of a window's middle, such as "12.5 %", to its places [rows].
    """
    starts = [*range(0, count - rows, step), count - rows]
    return {
        f"{100 * (start + rows / 2) / count:.4g} %": np.arange(start, start + rows)
        for start in starts
    }


def ends(ids: Ints, size: int, seed: int) -> dict[str, Ints]:
    """Return the places [size] of the two ends of a ranking and of a random sample.

    The sample does not depend on the ranking, and with one seed a smaller sample is part of a
    larger one.

    Args:
        ids: [N] in the order of the ranking.
        size: at most N.
        seed: seed of the sample.
    """
    every = np.arange(len(ids))
    shuffled = np.argsort(ids)[np.random.default_rng(seed).permutation(len(ids))]
    return {MOST: every[len(ids) - size :], LEAST: every[:size], RANDOM: shuffled[:size]}


def mislabelled(ids: Ints, labels: Ints, share: float, classes: int, seed: int) -> Ints:
    """Replace a share of labels [K] by another class, drawn uniformly from the other classes.

    An example's new label depends on its id and the seed only, not on the slice it is in.
    """
    draws = np.random.default_rng(seed).random((int(ids.max(initial=0)) + 1, 2))[ids]
    shift = 1 + (draws[:, 1] * (classes - 1)).astype(np.int64)
    return np.where(draws[:, 0] < share, (labels + shift) % classes, labels)


@dataclass(frozen=True, kw_only=True)
class NetResults:
    """Test results of S nets, trained on the same slice with different seeds."""

    right: Bools
    """[S, N] whether a net is right about a test example, in the order of their own ranking."""

    def accuracy(self, subject: str, part: str) -> Finding:
        """Report `test_accuracy` on all test examples."""
        return mean_finding(subject, part, "test_accuracy", self.right.mean(axis=1))

    def prototype_accuracy(self, subject: str, part: str, percent: float) -> Finding:
        """Report `prototypical_test_accuracy`, on the most prototypical `percent` of them."""
        rows = max(1, round(percent / 100 * self.right.shape[1]))
        means = self.right[:, -rows:].mean(axis=1)
        return mean_finding(subject, part, "prototypical_test_accuracy", means)

    def accuracy_by_tenth(self, subject: str) -> list[Finding]:
        """Report `test_accuracy` on each nonempty tenth, "1" the most outlying."""
        tenth = tenths(np.arange(self.right.shape[1]))
        return [
            mean_finding(
                subject, str(t + 1), "test_accuracy", self.right[:, tenth == t].mean(axis=1)
            )
            for t in range(TENTHS)
            if (tenth == t).any()
        ]


def crossing(most: Mapping[int, float], least: Mapping[int, float]) -> float:
    """Return how many examples it takes before outliers are worth more than prototypes.

    Args:
        most: number of training examples to the accuracy of nets trained on the most prototypical.
        least: the same for the least prototypical.

    Returns:
        The first number at which both are worth the same after prototypes were worth more,
        interpolated linearly in the logarithm of the number; NaN if they do not cross.
    """
    sizes: Sequence[int] = sorted(most.keys() & least.keys())
    lead = np.array([least[size] - most[size] for size in sizes])
    for i in range(len(sizes) - 1):
        if lead[i] < 0 <= lead[i + 1]:
            fraction = lead[i] / (lead[i] - lead[i + 1])
            return float(sizes[i] * (sizes[i + 1] / sizes[i]) ** fraction)
    return float("nan")
