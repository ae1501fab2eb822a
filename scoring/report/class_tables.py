"""How a split's classes fare: what each is predicted as, and how many of its labels are wrong."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scoring.arrays import Ints
from scoring.report.facts import SplitReport
from scoring.report.score_columns import NONE
from scoring.store.keys import Split

_MOST_IN_MATRIX = 30
_PAIRS = 60


@dataclass(frozen=True, kw_only=True)
class ClassRow:
    """One class of C."""

    label: int
    rows: int
    right: int
    """Rows that are predicted as this class."""
    predicted: int
    """Rows with a prediction."""
    wrong: float | None
    """Wrong labels expected among the rows; None if labels were not judged."""

    @property
    def accuracy(self) -> float | None:
        """Share of right predictions; None if there are no predictions."""
        return self.right / self.predicted if self.predicted else None


@dataclass(frozen=True, kw_only=True)
class ClassTables:
    """The classes of one split, by the predictions that come with one metric's scores."""

    split: Split
    metric: str
    counts: Ints
    """[C, C] rows by label and prediction."""
    classes: Sequence[ClassRow]

    @property
    def has_matrix(self) -> bool:
        """Whether there are predictions, and few enough classes to show all pairs."""
        return bool(self.counts.any()) and len(self.counts) <= _MOST_IN_MATRIX

    @property
    def most_confused(self) -> list[tuple[int, int, int]]:
        """The pairs that are confused most: label, prediction, rows."""
        off = self.counts * (1 - np.eye(len(self.counts), dtype=self.counts.dtype))
        order = np.argsort(-off, axis=None, kind="stable")[:_PAIRS]
        labels, predictions = np.unravel_index(order, off.shape)
        pairs = zip(labels.tolist(), predictions.tolist(), off.flat[order].tolist(), strict=True)
        return [pair for pair in pairs if pair[2]]

    @property
    def most(self) -> int:
        """The largest count of a confusion; at least 1."""
        return max((rows for _, _, rows in self.most_confused[:1]), default=1)


def class_tables(split: SplitReport, classes: int) -> ClassTables:
    """Count labels and predictions at the positions of the newest dataset version.

    Args:
        split: the split.
        classes: C, how many there are.
    """
    current = split.version.version
    metric = next(name for name, version in split.scored_on.items() if version == current)
    label = split.columns[metric].label.astype(np.int64)
    predicted = split.columns[metric].predicted.astype(np.int64)
    known = label < classes
    both = known & (predicted < classes)
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (label[both], predicted[both]), 1)
    rows = np.bincount(label[known], minlength=classes)
    wrong = _expected_wrong(split, label, classes)
    return ClassTables(
        split=split.split,
        metric=metric,
        counts=counts,
        classes=[
            ClassRow(
                label=c,
                rows=int(rows[c]),
                right=int(counts[c, c]),
                predicted=int(counts[c].sum()),
                wrong=wrong[c] if wrong else None,
            )
            for c in range(classes)
        ],
    )


def _expected_wrong(split: SplitReport, label: Ints, classes: int) -> list[float]:
    """Sum the probabilities that labels are wrong, by class; empty if they were not judged."""
    if split.labels is None or split.labels.version != split.version.version:
        return []
    known = (label != NONE) & ~np.isnan(split.labels.wrong)
    sums: list[float] = np.bincount(
        label[known], weights=split.labels.wrong[known], minlength=classes
    ).tolist()
    return sums
