"""Label issues in cleanlab's format: a data frame in Parquet, one row for each labelled example.

    label_quality     percentile / 100 by one metric within its split: in [0, 1], low = an issue
    is_label_issue    label_quality < threshold, so the threshold is about the share of labels
                      that are reported as wrong
    given_label, predicted_label    class indices

These are the columns of `CleanLearning.get_label_issues()` in cleanlab 2, plus `split`,
`example_id`, `name` and the names of both classes. Training rows come first if both splits are
written. The rows of a split are sorted by id, so its part of the frame can be passed to
`CleanLearning.fit(..., label_issues=frame)` with the examples in that order. Examples without a
label are left out; those without a rank have no quality and are no issue.

cleanlab's own threshold (Northcutt et al., "Confident Learning", JAIR 2021) needs probabilities
from nets that have not seen the label. All metrics have a rank, so here the threshold is a share.
"""

from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from scoring.exports.format import Format, OnWritten
from scoring.exports.selection import Selection

FOUND_LABELS_BEST = ("el2n", "confidence_mean", "label_margin", "label_conf", "aum")
"""Metrics that use the label, the best at finding changed labels first: by their AUROC before or
after nets have memorised these, whichever is worse (docs/evaluations.md, "Memorisation")."""

_SCHEMA = pa.schema(
    {
        "split": pa.string(),
        "example_id": pa.int64(),
        "name": pa.string(),
        "is_label_issue": pa.bool_(),
        "label_quality": pa.float64(),
        "given_label": pa.int64(),
        "predicted_label": pa.int64(),
        "given_label_name": pa.string(),
        "predicted_label_name": pa.string(),
    }
)


def label_issues(metric: str, threshold: float) -> Format:
    """Make a format that judges labels by one metric.

    Args:
        metric: the metric whose percentile is the quality; the selection must include it.
        threshold: in [0, 1]; a label whose quality is below it is an issue.
    """
    return Format(
        suffix="-label-issues.parquet",
        read_with='pandas.read_parquet("{path}")',
        write=partial(_write, metric, threshold),
    )


def _write(
    metric: str, threshold: float, selection: Selection, path: Path, on_written: OnWritten
) -> int:
    rows = 0
    with pq.ParquetWriter(path, _SCHEMA, compression="zstd") as writer:
        for table in selection.tables():
            issues = _issues(table.filter(pc.is_valid(table["label"])), metric, threshold)
            writer.write_table(issues)
            rows += len(issues)
            on_written(len(table))
    return rows


def _issues(table: pa.Table, metric: str, threshold: float) -> pa.Table:
    quality = pc.divide(table[f"{metric}_percentile"], 100.0)
    columns = {
        "split": table["split"],
        "example_id": table["example_id"],
        "name": table["name"],
        "is_label_issue": pc.less(quality, threshold).fill_null(False),
        "label_quality": quality,
        "given_label": table["label"].cast(pa.int64()),
        "predicted_label": table["predicted"].cast(pa.int64()),
        "given_label_name": table["label_name"],
        "predicted_label_name": table["predicted_name"],
    }
    return pa.table(columns, schema=_SCHEMA)
