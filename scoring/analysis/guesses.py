"""What models make of examples that they did not see, as the model of wrong labels reads it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scoring.arrays import Bools, Floats, Ints

_LEAST = 1e-6  # probability; that of a class that float16 made 0


@dataclass(frozen=True, kw_only=True)
class Guesses:
    """What models make of N labelled examples that they did not see."""

    labels: Ints
    """[N] class indices."""
    classes: Ints
    """[N, K] the classes that probabilities are known of; -1 where a row has fewer than K. The
    label is among them."""
    views: tuple[Floats, ...]
    """[N, K] probabilities of those classes, one array for each view."""

    def of(self, classes: Ints) -> Floats:
        """Return the probability [N] of one class for each example, by the first view.

        NaN where it is unknown.
        """
        found = self.classes == classes[:, None]
        place = found.argmax(axis=1)[:, None]
        probability = np.take_along_axis(self.views[0], place, axis=1)[:, 0]
        return np.where(found.any(axis=1), probability, np.nan)

    def take(self, rows: Ints | Bools) -> "Guesses":
        """Return some of the rows."""
        views = tuple(view[rows] for view in self.views)
        return Guesses(labels=self.labels[rows], classes=self.classes[rows], views=views)


def joined(parts: Sequence[Guesses]) -> Guesses:
    """Return the examples of several parts, one after another."""
    columns = max((part.classes.shape[1] for part in parts), default=0)

    def more(part: Guesses) -> tuple[tuple[int, int], tuple[int, int]]:
        return (0, 0), (0, columns - part.classes.shape[1])

    return Guesses(
        labels=np.concatenate([part.labels for part in parts]),
        classes=np.concatenate([np.pad(p.classes, more(p), constant_values=-1) for p in parts]),
        views=tuple(
            np.concatenate([np.pad(part.views[v], more(part)) for part in parts])
            for v in range(len(parts[0].views))
        ),
    )


@dataclass(frozen=True)
class Features:
    """Guesses with the rest as one more column."""

    logs: Floats
    """[V, N, K + 1] log p, the rest last: that of each of its classes."""
    classes: Ints
    """[N, K + 1], C for the rest, 0 where there is none."""
    log_counts: Floats
    """[N, K + 1] log of the number of classes: -inf where there is none, 0 for one."""

    @property
    def present(self) -> Bools:
        """[N, K + 1] whether there is a class."""
        return np.isfinite(self.log_counts)


def features_of(guesses: Guesses, classes: int) -> Features:
    """Return the features of guesses; `classes` is how many there are."""
    known = guesses.classes >= 0
    rest = classes - known.sum(axis=1)
    logs = []
    for view in guesses.views:
        probability = np.where(known, view, 0.0)
        of_rest = (1 - probability.sum(axis=1)) / np.maximum(rest, 1)
        logs.append(np.log(np.maximum(np.column_stack([probability, of_rest]), _LEAST)))
    counts = np.column_stack([known, rest])
    index = np.column_stack([guesses.classes, np.full(len(known), classes)])
    with np.errstate(divide="ignore"):
        log_counts = np.log(counts)
    return Features(np.stack(logs), np.where(counts > 0, index, 0), log_counts)
