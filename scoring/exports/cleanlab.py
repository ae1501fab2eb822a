"""Label issues in cleanlab's format: a data frame in Parquet, one row for each labelled example.

By the verdict:

    label_quality     probability that the label is right; null if it was not judged
    is_label_issue    whether it is at most 1/2
    given_label, predicted_label, suggested_label    class indices
    pred_probs        [C] mean probabilities by the models that did not see the example; 0 where a
                      probability was not kept

By a metric:

    label_quality     percentile / 100 by the metric within its split: in [0, 1], low = an issue
    is_label_issue    label_quality < threshold, so the threshold is about the share of labels that
                      are reported as wrong, however many are

These are the columns of `CleanLearning.get_label_issues()` in cleanlab 2, plus `split`,
`example_id`, `name` and the names of classes; `pred_probs` is what cleanlab's own functions take.
Training rows come first if both splits are written. The rows of a split are sorted by id, so its
part of the frame can be passed to `CleanLearning.fit(..., label_issues=frame)` with the examples in
that order. Examples without a label are left out.
"""

from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from scoring.analysis.verdict import CUT
from scoring.errors import BadStore, UserError
from scoring.exports.format import Format, OnWritten
from scoring.exports.selection import Selection
from scoring.staged.probabilities import padded_lists
from scoring.store.keys import Split
from scoring.tables.sql import run
from scoring.tables.whole_partitions import PROBABILITIES_TABLE, table_sql

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


_JUDGED = pa.schema(
    [
        *_SCHEMA,
        pa.field("suggested_label", pa.int64()),
        pa.field("suggested_label_name", pa.string()),
        pa.field("pred_probs", pa.list_(pa.float32())),
    ]
)
_ROWS = """
    select example_id, wrong, suggested, classes, probabilities
    from probabilities where example_id between {first:d} and {last:d} order by example_id
"""


def check_judged(selection: Selection) -> None:
    """Check that the labels of a selection are judged.

    Raises:
        UserError: they are not, or those of another dataset version are.
    """
    for split in selection.splits:
        versions = _ask(selection, split, "select distinct dataset_version from probabilities")
        if versions["dataset_version"].to_pylist() != [selection.version(split).version]:
            raise UserError(
                f"--to cleanlab: expected a verdict on the {split} split as it is published, got "
                "none; run rescore with metrics of the ensemble, such as conf, or pass "
                "--label-quality and --threshold"
            )


def _write_judged(selection: Selection, path: Path, on_written: OnWritten) -> int:
    rows = 0
    with pq.ParquetWriter(path, _JUDGED, compression="zstd") as writer:
        for table in selection.tables():
            issues = _judged(selection, table)
            writer.write_table(issues)
            rows += len(issues)
            on_written(len(table))
    return rows


LABEL_ISSUES = Format(
    suffix="-label-issues.parquet",
    read_with='pandas.read_parquet("{path}")',
    write=_write_judged,
)
"""By the verdict."""


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
    return pa.table(_columns(table, quality, pc.less(quality, threshold)), schema=_SCHEMA)


def _columns(
    table: pa.Table, quality: pa.ChunkedArray, is_issue: pa.ChunkedArray
) -> dict[str, pa.ChunkedArray]:
    return {
        "split": table["split"],
        "example_id": table["example_id"],
        "name": table["name"],
        "is_label_issue": is_issue.fill_null(False),
        "label_quality": quality,
        "given_label": table["label"].cast(pa.int64()),
        "predicted_label": table["predicted"].cast(pa.int64()),
        "given_label_name": table["label_name"],
        "predicted_label_name": table["predicted_name"],
    }


def _judged(selection: Selection, table: pa.Table) -> pa.Table:
    """Return the verdict on the labelled rows of a shard, sorted by id."""
    split, ids = table["split"][0].as_py(), table["example_id"]
    version = selection.version(split)
    rows = _ask(selection, split, _ROWS.format(first=ids[0].as_py(), last=ids[-1].as_py()))
    if not rows["example_id"].equals(ids):
        raise BadStore(f"--store: expected probabilities of each example of {split}, got others")
    labelled = table["label"].is_valid()
    table, rows = table.filter(labelled), rows.filter(labelled)
    quality, names = pc.subtract(1.0, rows["wrong"]), pa.array(version.classes, pa.string())
    return pa.table(
        {
            **_columns(table, quality, pc.less_equal(quality, 1 - CUT)),
            "suggested_label": rows["suggested"].cast(pa.int64()),
            "suggested_label_name": names.take(rows["suggested"]),
            "pred_probs": _dense(rows, len(version.classes)),
        },
        schema=_JUDGED,
    )


def _ask(selection: Selection, split: Split, query: str) -> pa.Table:
    """Answer a query about a split's rows of `probabilities`."""
    storage = selection.snapshot.storage
    partition = {"dataset": selection.snapshot.dataset, "split": split}
    views = {"probabilities": lambda: table_sql(storage, PROBABILITIES_TABLE, partition)}
    return run(storage, query, views)


def _dense(rows: pa.Table, classes: int) -> pa.Array:
    """Return the probabilities of all classes, a list for each row that has some."""
    known = rows["probabilities"].is_valid().to_numpy()
    index, values = padded_lists(rows.filter(known))
    dense = np.zeros((len(rows), classes), dtype=np.float32)
    some = np.zeros((len(values), classes + 1), dtype=np.float32)  # the last one for padding
    np.put_along_axis(some, np.where(index < 0, classes, index), values, axis=1)
    dense[known] = some[:, :classes]
    offsets = pa.array(np.arange(len(rows) + 1) * classes, pa.int32())
    return pa.ListArray.from_arrays(offsets, dense.ravel(), mask=pa.array(~known))
