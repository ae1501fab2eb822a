"""Label issues as cleanlab tells them: a frame in Parquet, one row for each labelled example.

    label_quality     percentile / 100 of one metric among its split: in [0, 1], low = an issue
    is_label_issue    label_quality < the threshold, which so is about the share of labels taken
                      for wrong
    given_label, predicted_label    class indices

These are the columns of `CleanLearning.get_label_issues()` in cleanlab 2; `split`, `example_id`,
`name` and the names of the two classes stand beside them. Where both splits are written, training
rows come first; rows of a split are in the order of their ids, so that the frame of a split can be
given to `CleanLearning.fit(..., label_issues=frame)` beside the examples in that order. An example
without a label is left out; one without a rank has no quality and is no issue.

cleanlab's own threshold (Northcutt et al., "Confident Learning", JAIR 2021) needs probabilities of
nets that have not seen the label. A rank is what every metric has, so here it is a share.
"""

from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from scoring.exports.format import Done, Format
from scoring.exports.selection import Selection

FOUND_LABELS_BEST = ("el2n", "confidence_mean", "label_margin", "label_conf", "aum")
"""Metrics that see the label, in the order of how well they found changed ones: by the AUROC before
or after nets learnt these by heart, whichever is worse (docs/evaluations.md, "Memorisation")."""

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
    """Label issues by one metric.

    Args:
        metric: its percentile is the quality; the selection must have it.
        threshold: in [0, 1]; a label of a quality below it is an issue.
    """
    return Format(
        ending="-label-issues.parquet",
        read_with='pandas.read_parquet("{path}")',
        write=partial(_write, metric, threshold),
    )


def _write(metric: str, threshold: float, selection: Selection, path: Path, done: Done) -> int:
    rows = 0
    with pq.ParquetWriter(path, _SCHEMA, compression="zstd") as writer:
        for table in selection.tables():
            issues = _issues(table.filter(pc.is_valid(table["label"])), metric, threshold)
            writer.write_table(issues)
            rows += len(issues)
            done(len(table))
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
