"""The record of evaluations: what is known of a dataset's scores, the newest findings alone."""

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
"""What the table calls the dataset of nets in the plane, which is nobody's."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One number that an evaluation found."""

    subject: str
    """What was evaluated: a metric, or what it is compared with."""
    part: str
    """On what: a tenth, a corruption, a pair of seeds; "" where there is but one."""
    measure: str
    """What the number is: error_rate, auroc, spearman, ..."""
    value: float
    """NaN where it does not exist."""
    spread: float | None = None
    """Standard deviation, where `value` is a mean."""
    rows: int
    """Examples, or whatever `value` is made of."""


def publish_evaluation(
    storage: Storage, dataset: str, evaluation: str, findings: Sequence[Finding], command: str
) -> int:
    """Replace what `evaluations` says of an evaluation of a dataset, in one commit.

    Args:
        storage: the store.
        dataset: as `scores` calls it.
        evaluation: its name.
        findings: all of them.
        command: what was run.

    Returns:
        The new version of the table.
    """
    about = {"evaluated_at": datetime.now(UTC), "command": command}
    rows = [
        {**jsonable(f), "value": None if math.isnan(f.value) else f.value, **about}
        for f in findings
    ]
    data = pa.Table.from_pylist(rows, schema=EVALUATIONS)
    partition = {"dataset": dataset, "evaluation": evaluation}
    return replace_partition(storage, EVALUATIONS_TABLE, partition, data.to_batches())


def finding_of(row: Mapping[str, Any]) -> Finding:
    """A row of `evaluations` as what it says."""
    found = {field.name: row[field.name] for field in fields(Finding)}
    return Finding(**{**found, "value": math.nan if row["value"] is None else row["value"]})
