"""Findings to the table `evaluations` and to the terminal."""

import math
import sys
from collections.abc import Sequence

import pyarrow as pa

from ray_jobs.terminal.tables import as_text
from scoring.analysis.side_by_side import SideBySide
from scoring.store.storage import Storage
from scoring.tables.findings import Finding, publish_evaluation

Column = tuple[str, str]
"""(part, measure)."""


def tell(
    storage: Storage,
    dataset: str,
    evaluation: str,
    findings: Sequence[Finding],
    columns: Sequence[Column],
    command: str,
) -> None:
    """Publish findings, and print those of some columns, a row a subject."""
    print(as_text(pa.table(_pivot(findings, columns))), end="")
    publish(storage, dataset, evaluation, findings, command)


def publish(
    storage: Storage, dataset: str, evaluation: str, findings: Sequence[Finding], command: str
) -> None:
    """Publish findings, and say so."""
    version = publish_evaluation(storage, dataset, evaluation, findings, command)
    print(
        f"Published {len(findings)} findings of {evaluation} on {dataset} as version {version} of "
        f"{storage.uri}/tables/evaluations"
    )


def note_left_out(told: SideBySide) -> None:
    """Say so where metrics were scored on different data."""
    if told.left_out:
        print(
            f"left out: {told.left_out:,} examples that not every metric knows under one label",
            file=sys.stderr,
        )


def _pivot(findings: Sequence[Finding], columns: Sequence[Column]) -> dict[str, pa.Array]:
    found = {(f.subject, f.part, f.measure): f.value for f in findings}
    subjects = dict.fromkeys(f.subject for f in findings if (f.part, f.measure) in columns)
    grid = {"subject": pa.array(list(subjects))}
    for part, measure in columns:
        values = [found.get((subject, part, measure)) for subject in subjects]
        # More digits than these, none of the measures is worth.
        rounded = [
            None if value is None or math.isnan(value) else float(f"{value:.4g}")
            for value in values
        ]
        grid[f"{part} {measure}".strip()] = pa.array(rounded, pa.float64())
    return grid
