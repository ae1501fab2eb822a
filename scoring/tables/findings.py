"""Findings of evaluations, as rows of `evaluations`; only the newest are kept."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from scoring.store.keys import jsonable
from scoring.store.storage import Storage
from scoring.tables.schemas import EVALUATIONS
from scoring.tables.whole_partitions import EVALUATIONS_TABLE, replace_partition

PLANE = "toy"
"""Dataset under which findings about nets in the plane are published."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One number that an evaluation found."""

    subject: str
    """What was evaluated: a metric, or something to compare it with."""
    part: str
    """On which part: a tenth, a corruption, a pair of seeds; "" if there is only one."""
    measure: str
    """What was measured: error_rate, auroc, spearman, ..."""
    value: float
    """NaN where it is undefined."""
    spread: float | None = None
    """Standard deviation, if `value` is a mean."""
    rows: int
    """Number of examples, or of whatever `value` is computed from."""


def publish_evaluation(
    storage: Storage, dataset: str, evaluation: str, findings: Sequence[Finding], command: str
) -> int:
    """Replace the findings of an evaluation of a dataset, in one commit.

    Args:
        storage: the store.
        dataset: its name in `scores`.
        evaluation: the name of the evaluation.
        findings: all its findings.
        command: the command that was run.

    Returns:
        The new version of the table.
    """
    provenance = {"evaluated_at": datetime.now(UTC), "command": command}
    rows = [
        {**jsonable(f), "value": None if math.isnan(f.value) else f.value, **provenance}
        for f in findings
    ]
    data = pa.Table.from_pylist(rows, schema=EVALUATIONS)
    partition = {"dataset": dataset, "evaluation": evaluation}
    return replace_partition(storage, EVALUATIONS_TABLE, partition, data.to_batches())


def finding_of(row: Mapping[str, Any]) -> Finding:
    """Read a finding from a row of `evaluations`."""
    columns = {field.name: row[field.name] for field in fields(Finding)}
    return Finding(**{**columns, "value": math.nan if row["value"] is None else row["value"]})
