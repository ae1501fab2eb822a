"""How metrics agree, as matrices: by the tables at once, and by what `evaluate` found."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scoring.arrays import Floats
from scoring.report.facts import Report, SplitReport
from scoring.store.keys import Split
from scoring.tables.findings import Finding

BETWEEN = " x "
"""Stands between the metrics of a pair in a finding's subject."""
_ABOUT = {
    "spearman": "of ranks: oriented, so that 1 means: the same examples are prototypical",
    "pearson": "of values, oriented in the same way",
    "jaccard_distance": "0 where both call the same examples so, 1 where they have none in common",
}


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """A measure of every two of M metrics of a split."""

    measure: str
    part: str
    """Of which examples; "" of all."""
    split: Split
    metrics: Sequence[str]
    values: Floats
    """[M, M] in [-1, 1]; NaN where it is not known."""

    @property
    def title(self) -> str:
        """What it is called."""
        words = self.measure.replace("_", " ").capitalize()
        return f"{words}, {self.part}" if self.part else words

    @property
    def about(self) -> str:
        """What its numbers say."""
        return _ABOUT.get(self.measure, "")

    @property
    def agreement(self) -> Floats:
        """[M, M] from -1, opposed, to 1, the same."""
        return 1 - self.values if self.measure.endswith("distance") else self.values


def matrices(report: Report) -> dict[str, list[Matrix]]:
    """By title, a matrix of each split that has it."""
    found: dict[str, list[Matrix]] = {}
    for split in report.splits:
        told = report.evaluations.get(f"correlations_{split.split}", ())
        for matrix in [_of_tables(split), *_of_findings(split, told)]:
            found.setdefault(matrix.title, []).append(matrix)
    return found


def _of_tables(split: SplitReport) -> Matrix:
    return Matrix(
        measure="spearman",
        part="",
        split=split.split,
        metrics=list(split.columns),
        values=split.correlations,
    )


def _of_findings(split: SplitReport, findings: Sequence[Finding]) -> list[Matrix]:
    """What is told of pairs, but for what the tables say themselves."""
    found: dict[tuple[str, str], dict[tuple[str, ...], float]] = {}
    for finding in findings:
        pair = tuple(finding.subject.split(BETWEEN))
        if len(pair) == 2 and finding.measure != "spearman":
            found.setdefault((finding.measure, finding.part), {})[pair] = finding.value
    return [_matrix(split, *about, told) for about, told in found.items()]


def _matrix(
    split: SplitReport, measure: str, part: str, told: dict[tuple[str, ...], float]
) -> Matrix:
    named = {name for pair in told for name in pair}
    metrics = [name for name in split.columns if name in named]
    metrics += sorted(named - {*metrics})
    values = np.full((len(metrics), len(metrics)), np.nan)
    np.fill_diagonal(values, 0.0 if measure.endswith("distance") else 1.0)
    for (one, other), value in told.items():
        i, j = metrics.index(one), metrics.index(other)
        values[i, j] = values[j, i] = value
    return Matrix(measure=measure, part=part, split=split.split, metrics=metrics, values=values)
