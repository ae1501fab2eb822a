"""Publishes a verdict on the labels of a split, for the tests of the report."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from scoring.analysis import verdict
from scoring.analysis.verdict import Estimate
from scoring.data.versions import DatasetVersion
from scoring.store.storage import Storage
from scoring.tables import Store
from scoring.tables.findings import Finding, finding_of, publish_evaluation
from scoring.tables.issues import publish_issues
from scoring.tables.schemas import PROBABILITIES
from scoring.tables.whole_partitions import PROBABILITIES_TABLE, replace_partition

KEY = "0a" * 16


class Issue(NamedTuple):
    """A label to look at."""

    row: int
    suggested: int
    wrong: float
    kind: str = "wrong label"


def publish_labels(
    storage: Storage,
    dataset: str,
    version: DatasetVersion,
    label: Sequence[int],
    issues: Sequence[Issue],
) -> None:
    """Publish issues, and probabilities by which all other labels are right."""
    of_row = {issue.row: issue for issue in issues}
    right = [of_row.get(row, Issue(row, int(own), 0.0)) for row, own in enumerate(label)]
    first, count = version.shards[0].first_id, len(right)
    classes = [sorted({int(own), i.suggested}) for own, i in zip(label, right, strict=True)]
    columns: dict[str, Any] = {
        "example_id": [first + row for row in range(count)],
        "label": [int(own) for own in label],
        "models": [7] * count,
        "wrong": [issue.wrong for issue in right],
        "suggested": [issue.suggested for issue in right],
        "status": pa.nulls(count, pa.string()),
        "classes": classes,
        "probabilities": [
            [1 - i.wrong if c == own and i.row in of_row else i.wrong or 1.0 for c in known]
            for known, own, i in zip(classes, label, right, strict=True)
        ],
        "dataset_version": [version.version] * count,
    }
    rows = pa.table({n: pa.array(c) for n, c in columns.items()}).cast(PROBABILITIES)
    partition = {"dataset": dataset, "split": version.split}
    replace_partition(storage, PROBABILITIES_TABLE, partition, rows.to_batches(), KEY)
    part = {
        "example_id": [first + issue.row for issue in issues],
        "name": [f"picture-{issue.row}.png" for issue in issues],
        "label": [int(label[issue.row]) for issue in issues],
        "suggested": [issue.suggested for issue in issues],
        "wrong": [issue.wrong for issue in issues],
        "kind": [issue.kind for issue in issues],
        "label_probability": [1 - issue.wrong for issue in issues],
        "suggested_probability": [issue.wrong for issue in issues],
        "models": [7] * len(issues),
        "fleet_aum": pa.nulls(len(issues), pa.float64()),
        "memorisation": pa.nulls(len(issues), pa.float64()),
    }
    publish_issues(storage, dataset, version.split, KEY, [pa.table(part)], version.version)
    suspects = [issue.wrong for issue in issues if issue.wrong >= verdict.CUT]
    estimate = Estimate(
        rows=count,
        wrong=sum(issue.wrong for issue in issues),
        low=1.0,
        high=9.0,
        suspects=len(suspects),
        precision=sum(suspects) / len(suspects) if suspects else float("nan"),
    )
    findings = verdict.findings(version.split, estimate)
    publish_evaluation(
        storage, dataset, verdict.EVALUATION, [*_others(storage, dataset, version), *findings], ""
    )


def _others(storage: Storage, dataset: str, version: DatasetVersion) -> list[Finding]:
    """Return what is published about the other split."""
    published = Store(storage.uri).evaluations(dataset, verdict.EVALUATION).to_pylist()
    return [finding_of(row) for row in published if row["part"] != version.split]
