"""Drawing a human study: people pick the best, or the worst, of nine images of a class.

Carlini et al. 2019, section 3.2 and appendix D. Images are drawn at random. Gold questions, whose
answer is known, are mixed in: eight images of one class and one of another, so that the odd one is
the worst picture of the first class, or the best picture of the other. Their images are typical of
their classes, and the two classes are not among those that the nets confuse most.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scoring.analysis.joined_scores import JoinedScores, read_joined_scores
from scoring.analysis.snapshot import Snapshot
from scoring.arrays import Floats, Ints
from scoring.data.studies import QUESTIONS, Question, Screen
from scoring.errors import UserError
from scoring.store.keys import Split

CELLS = 9
"""Images on a screen."""

Random = np.random.Generator


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much a study asks for."""

    sets: int
    screens: int
    """Screens of a set."""
    gold: int
    """Gold questions among them."""


@dataclass(frozen=True, kw_only=True)
class Pool:
    """The N examples that may be shown: they have a label, and some metric ranks them."""

    ids: Ints
    label: Ints
    """[N] class index."""
    predicted: Ints
    """[N] class index, -1 where unknown."""
    typical: Floats
    """[N] mean percentile within the class over all metrics."""

    def members(self, label: int) -> Ints:
        """Return the rows of a class."""
        return np.flatnonzero(self.label == label)

    def typical_members(self, label: int) -> Ints:
        """Return the more typical half of a class, at least as many as fill a screen.

        Examples that the ensemble predicts rightly come first.
        """
        rows = self.members(label)
        order = np.lexsort((self.typical[rows], self.predicted[rows] == label))[::-1]
        return rows[order[: max(CELLS, len(rows) // 2)]]

    def confused(self, label: int, classes: int) -> Ints:
        """Count the confusions [C] of a class with each of the classes, either way."""
        taken_for = self.predicted[(self.label == label) & (self.predicted >= 0)]
        taken_from = self.label[self.predicted == label]
        found: Ints = np.bincount(np.concatenate([taken_for, taken_from]), minlength=classes)
        return found


def read_pool(snapshot: Snapshot, split: Split) -> Pool:
    """Read the examples of a split's newest version, by the metrics that were scored on it."""
    newest = snapshot.current(split).version
    metrics = [
        metric
        for (of_split, metric), manifest in sorted(snapshot.manifests.items())
        if of_split == split and manifest.dataset_version == newest
    ]
    joined = read_joined_scores(snapshot, split, metrics)
    scores = snapshot.scores(split, metrics[0])
    order = np.argsort(scores.ids)
    predicted = scores.predicted[order[np.searchsorted(scores.ids, joined.ids, sorter=order)]]
    typical = _mean_percentile(joined)
    usable = (joined.label >= 0) & ~np.isnan(typical)
    return Pool(
        ids=joined.ids[usable],
        label=joined.label[usable],
        predicted=predicted[usable],
        typical=typical[usable],
    )


def draw_sets(pool: Pool, size: Size, seed: int) -> tuple[tuple[Screen, ...], ...]:
    """Draw the sets of a study.

    A set has two halves, one for each question; the half that comes first alternates.

    Raises:
        UserError: fewer than two classes have enough images.
    """
    classes = [int(c) for c in np.unique(pool.label) if len(pool.members(c)) >= CELLS]
    if len(classes) < 2:
        raise UserError(
            f"--split: expected two or more classes with {CELLS} or more ranked images, "
            f"got {len(classes)}"
        )
    draw = _Draw(pool, classes, np.random.default_rng(seed))
    return tuple(draw.set_of(number, size) for number in range(size.sets))


class _Deck:
    """Cards in random order; none is dealt twice before the others have been."""

    def __init__(self, cards: Sequence[int] | Ints, random: Random) -> None:
        self._cards = np.asarray(cards)
        self._random = random
        self._left = self._cards[:0]

    def deal(self, count: int) -> Ints:
        if len(self._left) < count:
            self._left = self._random.permutation(self._cards)
        dealt, self._left = self._left[:count], self._left[count:]
        return dealt


class _Draw:
    """One study being drawn."""

    def __init__(self, pool: Pool, classes: Sequence[int], random: Random) -> None:
        self._pool, self._labels, self._random = pool, classes, random
        self._classes = _Deck(classes, random)
        self._images = {c: _Deck(pool.members(c), random) for c in classes}
        self._typical = {c: pool.typical_members(c) for c in classes}

    def set_of(self, number: int, size: Size) -> tuple[Screen, ...]:
        order = QUESTIONS[:: -1 if number % 2 == 0 else 1]
        halves = zip(order, _halves(size.screens), _halves(size.gold), strict=True)
        return tuple(screen for half in halves for screen in self._half(*half))

    def _half(self, question: Question, count: int, gold: int) -> list[Screen]:
        makers = [self._gold] * gold + [self._plain] * (count - gold)
        return [makers[i](question) for i in self._random.permutation(count)]

    def _plain(self, question: Question) -> Screen:
        label = int(self._classes.deal(1)[0])
        rows = self._images[label].deal(CELLS)
        return Screen(question=question, label=label, shown=self._ids(rows))

    def _gold(self, question: Question) -> Screen:
        label = int(self._classes.deal(1)[0])
        other = self._unlike(label)
        many, one = (label, other) if question == "worst" else (other, label)
        rows = self._random.choice(self._typical[many], CELLS - 1, replace=False)
        at = int(self._random.integers(CELLS))
        rows = np.insert(rows, at, self._random.choice(self._typical[one]))
        return Screen(question=question, label=label, shown=self._ids(rows), gold=at)

    def _unlike(self, label: int) -> int:
        """Choose one of the other classes, but none of the half that is confused with it most."""
        others = self._random.permutation([c for c in self._labels if c != label])
        classes = int(max(self._pool.label.max(), self._pool.predicted.max())) + 1
        confused = self._pool.confused(label, classes)
        order = others[np.argsort(confused[others], kind="stable")]
        return int(self._random.choice(order[: -(-len(order) // 2)]))

    def _ids(self, rows: Ints) -> tuple[int, ...]:
        return tuple(self._pool.ids[rows].tolist())


def _halves(count: int) -> tuple[int, int]:
    return count - count // 2, count // 2


def _mean_percentile(joined: JoinedScores) -> Floats:
    """Average percentiles within the class over the metrics that rank an example; NaN if none."""
    known, total = np.zeros(len(joined.ids), np.int64), np.zeros(len(joined.ids))
    for percentile in joined.class_percentile.values():
        known += ~np.isnan(percentile)
        total += np.nan_to_num(percentile)
    mean: Floats = np.divide(total, known, out=np.full(len(known), np.nan), where=known > 0)
    return mean
