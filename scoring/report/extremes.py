"""The two ends of every class (Carlini et al. 2019, Figure 2; Agarwal et al. 2022, Figure 3)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scoring.analysis.scores import Ints, Row, Scores

ENDS = 25
_FEWEST_ENDS, _MOST_IMAGES = 2, 40_000


@dataclass(frozen=True, kw_only=True)
class ClassEnds:
    """The least and the most prototypical rows of a class, both in the order of `rank`."""

    label: int
    """Class index, -1 for rows without one."""
    ranked: int
    """Rows of the class that have a rank."""
    outlying: Sequence[Row]
    """The most outlying first."""
    prototypical: Sequence[Row]
    """The most prototypical last; none of them in `outlying`."""

    @property
    def rows(self) -> list[Row]:
        """Both ends."""
        return [*self.outlying, *self.prototypical]


def ends_to_show(classes: int, partitions: int) -> int:
    """Images at each end of a class: 25, fewer where there are hundreds of classes."""
    affordable = _MOST_IMAGES // (2 * classes * partitions)
    return max(_FEWEST_ENDS, min(ENDS, affordable))


def class_ends(scores: Scores, ends: int) -> list[ClassEnds]:
    """Both ends of each class, classes in the order of their index.

    Args:
        scores: rows without a rank (undecodable images) are passed over.
        ends: rows at each end; a class with fewer than twice as many is split in the middle.
    """
    ranked = np.flatnonzero(scores.rank >= 0)
    order = ranked[np.lexsort((scores.rank[ranked], scores.label[ranked]))]
    cuts = np.flatnonzero(np.diff(scores.label[order])) + 1
    return [_ends_of(scores, members, ends) for members in np.split(order, cuts) if len(members)]


def _ends_of(scores: Scores, members: Ints, ends: int) -> ClassEnds:
    """The ends of one class, given its rows by rising rank."""
    low, high = min(ends, (len(members) + 1) // 2), min(ends, len(members) // 2)
    return ClassEnds(
        label=int(scores.label[members[0]]),
        ranked=len(members),
        outlying=scores.take(members[:low]),
        prototypical=scores.take(members[len(members) - high :]),
    )
