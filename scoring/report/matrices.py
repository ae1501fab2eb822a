"""Matrices of how metrics agree, computed from the tables or found by `evaluate correlations`."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scoring.arrays import Floats
from scoring.report.facts import Report, SplitReport
from scoring.store.keys import Split
from scoring.tables.findings import Finding

_BETWEEN = " x "
"""Separates the two metrics in the subject of a finding about a pair."""
_CAPTIONS = {
    "spearman": "correlation of ranks",
    "pearson": "correlation of values, turned so that high is prototypical",
    "jaccard_distance": "0 if both metrics pick the same examples, 1 if they share none",
}


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """One measure of agreement for every pair of M metrics of a split."""

    measure: str
    part: str
    """The examples compared, such as "lowest 10 %"; "" for all."""
    split: Split
    metrics: Sequence[str]
    values: Floats
    """[M, M] in [-1, 1]; NaN where unknown."""

    @property
    def title(self) -> str:
        """Heading of the matrix."""
        words = self.measure.replace("_", " ").capitalize()
        return f"{words}, {self.part}".replace(" %", "%") if self.part else words

    @property
    def caption(self) -> str:
        """How to read the numbers."""
        return _CAPTIONS.get(self.measure, "")

    @property
    def agreement(self) -> Floats:
        """[M, M] from -1, opposed, to 1, the same."""
        return 1 - self.values if self.measure.endswith("distance") else self.values


def matrices(report: Report) -> dict[str, list[Matrix]]:
    """Return the matrices by title, one for each split that has it."""
    by_title: dict[str, list[Matrix]] = {}
    for split in report.splits:
        findings = report.evaluations.get(f"correlations_{split.split}", ())
        for matrix in [_from_tables(split), *_from_findings(split, findings)]:
            by_title.setdefault(matrix.title, []).append(matrix)
    return by_title


def _from_tables(split: SplitReport) -> Matrix:
    return Matrix(
        measure="spearman",
        part="",
        split=split.split,
        metrics=list(split.columns),
        values=split.correlations,
    )


def _from_findings(split: SplitReport, findings: Sequence[Finding]) -> list[Matrix]:
    """Build a matrix of each measure but Spearman's, which the tables give themselves."""
    found: dict[tuple[str, str], dict[tuple[str, ...], float]] = {}
    for finding in findings:
        pair = tuple(finding.subject.split(_BETWEEN))
        if len(pair) == 2 and finding.measure != "spearman":
            found.setdefault((finding.measure, finding.part), {})[pair] = finding.value
    return [_matrix(split, measure, part, pairs) for (measure, part), pairs in found.items()]


def _matrix(
    split: SplitReport, measure: str, part: str, pairs: dict[tuple[str, ...], float]
) -> Matrix:
    named = {name for pair in pairs for name in pair}
    metrics = [name for name in split.columns if name in named]
    metrics += sorted(named - {*metrics})
    values = np.full((len(metrics), len(metrics)), np.nan)
    np.fill_diagonal(values, 0.0 if measure.endswith("distance") else 1.0)
    for (one, other), value in pairs.items():
        i, j = metrics.index(one), metrics.index(other)
        values[i, j] = values[j, i] = value
    return Matrix(measure=measure, part=part, split=split.split, metrics=metrics, values=values)
