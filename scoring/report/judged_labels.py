"""What is known of a split's labels: how many are wrong, which ones, and what people found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from scoring.analysis.review_findings import ABOVE_CUT, ALL
from scoring.analysis.snapshot import Snapshot
from scoring.analysis.verdict import KINDS, Estimate
from scoring.arrays import Floats, Ints
from scoring.data.versions import DatasetVersion
from scoring.report.positions import Positions
from scoring.report.score_columns import NONE
from scoring.report.scripts import packed
from scoring.store.keys import Split
from scoring.tables.findings import Finding

_Column = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What people found in a sample."""

    checks: int
    wrong: float
    """Estimated number of wrong labels in the split."""
    low: float
    """Ends of its 90 % interval."""
    high: float
    precision: float
    """Share of wrong labels among those more likely wrong than right; NaN if there are none."""


@dataclass(frozen=True, kw_only=True)
class Probabilities:
    """What models that did not see an example make of each class: K examples."""

    position: Ints
    """[K]."""
    classes: pa.ListArray
    """[K] lists; null where unknown."""
    values: pa.ListArray
    """[K] lists, of those classes."""

    def of(self, classes: Ints) -> Floats:
        """Return the probability [N] of a class at each position [N]; NaN where unknown."""
        found: Floats = np.full(len(classes), np.nan)
        lengths = pc.fill_null(pc.list_value_length(self.classes), 0).to_numpy()
        at = np.repeat(self.position, lengths)
        hits = self.classes.flatten().to_numpy() == classes[at]
        found[at[hits]] = self.values.flatten().to_numpy()[hits]
        return found


@dataclass(frozen=True, kw_only=True)
class JudgedLabels:
    """The verdict on the labels of a split with N positions."""

    version: str
    """The dataset version that was judged."""
    estimate: Estimate
    measured: Measured | None
    """None if nobody has checked any."""
    wrong: npt.NDArray[np.float32]
    """[N] probability that a label is wrong; NaN where unknown."""
    suggested: npt.NDArray[np.uint16]
    """[N] class that fits best; `NONE` where unknown."""
    issues: Mapping[str, _Column]
    """The columns position, label, suggested, wrong and kind of the labels to look at, in order."""
    probabilities: Probabilities

    @property
    def kinds(self) -> dict[str, int]:
        """How many issues there are of each kind that turned up."""
        counts = np.bincount(self.issues["kind"], minlength=len(KINDS)).tolist()
        return {kind: n for kind, n in zip(KINDS, counts, strict=True) if n}

    def within(self, rows: slice) -> dict[str, Any]:
        """Return what is known of the labels at consecutive positions."""
        return {"wrong": packed(self.wrong[rows]), "suggested": packed(self.suggested[rows])}

    def data(self) -> dict[str, Any]:
        """Return the issues as the page reads them."""
        return {name: packed(column) for name, column in self.issues.items()}


def read_judged_labels(
    snapshot: Snapshot,
    split: Split,
    versions: Mapping[str, DatasetVersion],
    positions: Positions,
    evaluations: Mapping[str, Sequence[Finding]],
) -> JudgedLabels | None:
    """Read the verdict on a split's labels.

    Args:
        snapshot: the published scores.
        split: the split.
        versions: the dataset versions that have positions, by key.
        positions: where examples are.
        evaluations: findings by evaluation.

    Returns:
        None if labels were not judged, or only those of another dataset version.
    """
    estimate = snapshot.estimates().get(split)
    table = snapshot.probabilities(split)
    judged = next(iter(table["dataset_version"][:1].to_pylist()), "")
    if estimate is None or judged not in versions:
        return None
    table, at = _found(table, versions[judged], positions)
    unknown = (
        np.full(positions.count, np.nan, np.float32),
        np.full(positions.count, NONE, np.uint16),
    )
    return JudgedLabels(
        version=judged,
        estimate=estimate,
        measured=_measured(evaluations.get(f"review_{split}", ())),
        wrong=_by_position(table["wrong"], at, unknown[0]),
        suggested=_by_position(pc.fill_null(table["suggested"], NONE), at, unknown[1]),
        issues=_issues(snapshot.issues(split), versions[judged], positions),
        probabilities=Probabilities(
            position=at,
            classes=table["classes"].combine_chunks(),
            values=table["probabilities"].combine_chunks(),
        ),
    )


def _found(table: pa.Table, version: DatasetVersion, positions: Positions) -> tuple[pa.Table, Ints]:
    """Return the rows of examples that have a position, and these positions."""
    at = positions.find(version, table["example_id"].to_numpy())
    return table.filter(pa.array(at >= 0)), at[at >= 0]


def _issues(table: pa.Table, version: DatasetVersion, positions: Positions) -> dict[str, _Column]:
    of_version = pc.equal(table["dataset_version"], version.version)
    table = table.filter(pc.and_(of_version, pc.is_in(table["kind"], pa.array(KINDS))))
    table, at = _found(table, version, positions)
    return {
        "position": at.astype(np.uint32),
        "label": table["label"].to_numpy().astype(np.uint16),
        "suggested": table["suggested"].to_numpy().astype(np.uint16),
        "wrong": table["wrong"].to_numpy().astype(np.float32),
        "kind": pc.index_in(table["kind"], pa.array(KINDS)).to_numpy().astype(np.uint8),
    }


def _measured(findings: Sequence[Finding]) -> Measured | None:
    """Read the estimates that a review led to."""
    found = {(f.subject, f.measure): f for f in findings}
    if (ALL, "wrong") not in found:
        return None
    low, high = (found[ALL, f"wrong_{end}"].value for end in ("low", "high"))
    wrong, precision = found[ALL, "wrong"], found.get((ABOVE_CUT, "precision"))
    return Measured(
        checks=wrong.rows,
        wrong=wrong.value,
        low=low,
        high=high,
        precision=precision.value if precision else np.nan,
    )


def _by_position(column: Any, at: Ints, whole: _Column) -> _Column:  # noqa: ANN401 - an Arrow column
    whole[at] = column.to_numpy()
    return whole
