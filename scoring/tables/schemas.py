"""Columns of the published tables.

`scores` is partitioned by dataset, split and metric: those three live in the table's log, not in
its data files. `nights` and `runs` only ever grow, a night at a time.
"""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from scoring.ranking import Floats, Ints, RankColumns

_TIME = pa.timestamp("us", tz="UTC")

PARTITION_COLUMNS = ("dataset", "split", "metric")

SCORES = pa.schema(
    {
        "example_id": pa.int64(),
        "name": pa.string(),  # the user's own id, or the file's name
        "label": pa.int32(),  # null where unknown
        "predicted": pa.int32(),
        "value": pa.float64(),  # in the metric's unit; null where `status` says why
        "spread": pa.float64(),  # standard deviation over runs, where there are several
        "status": pa.string(),  # null where there is a value
        "rank": pa.int64(),  # 0 = most outlying; null where not ranked
        "percentile": pa.float64(),  # 0 = most outlying, 100 = most prototypical
        "class_percentile": pa.float64(),
        "class_z": pa.float64(),  # standard deviations from the class's mean, not oriented
        "scored_at": _TIME,
        "dataset_version": pa.string(),
        "score_key": pa.string(),  # the staged shard that the value comes from
    }
)
"""A data file of `scores`; rows sorted by (label, rank), nulls last."""

SCORES_TABLE = pa.schema([*(pa.field(c, pa.string()) for c in PARTITION_COLUMNS), *SCORES])
"""`scores` as readers see it."""

NIGHTS = pa.schema(
    {
        "night_id": pa.string(),
        "date": pa.date32(),  # the day it counts for
        "dataset": pa.string(),
        "started_at": _TIME,
        "finished_at": _TIME,
        "command": pa.string(),
        "train_version": pa.string(),
        "test_version": pa.string(),
        "metrics": pa.list_(pa.string()),
        "runs_trained": pa.int64(),
        "runs_reused": pa.int64(),
        "shards_scored": pa.int64(),  # (metric, shard) pairs
        "shards_reused": pa.int64(),
        "rows": pa.int64(),  # published, over all partitions
        "commit_version": pa.int64(),  # of `scores`
        "seconds": pa.float64(),
    }
)
"""`nights`: one row per published night."""

RUNS = pa.schema(
    {
        "night_id": pa.string(),
        "run_key": pa.string(),
        "kind": pa.string(),
        "split": pa.string(),
        "net": pa.string(),
        "width": pa.float64(),
        "recipe": pa.string(),  # JSON
        "seed": pa.int64(),
        "subset": pa.float64(),  # fraction of the split it trained on
        "epsilon_target": pa.float64(),
        "epsilon_spent": pa.float64(),
        "delta": pa.float64(),
        "train_accuracy": pa.float64(),
        "test_accuracy": pa.float64(),
        "rows": pa.int64(),
        "epochs": pa.int64(),
        "seconds": pa.float64(),
        "host": pa.string(),
        "device": pa.string(),
        "trained_at": _TIME,
        "reused": pa.bool_(),  # trained on an earlier night
    }
)
"""`runs`: every run that a night's scores were made with."""


def score_rows(
    *,
    example_id: Ints,
    name: Sequence[str | None],
    label: Ints,
    predicted: Ints,
    value: Floats,
    spread: Floats | None,
    status: Sequence[str | None] | npt.NDArray[np.str_],
    ranks: RankColumns,
    scored_at: datetime | pa.Array,
    dataset_version: str,
    score_key: Sequence[str] | pa.Array,
) -> pa.Table:
    """A partition of `scores`, ready to publish: NaN, -1 and "" become null, rows are sorted.

    Args:
        example_id: [N] int64; every other column is [N] as well, or one value for all rows.
        name: the user's own ids.
        label: int64, -1 where unknown.
        predicted: int64, -1 where unknown.
        value: float64 in the metric's unit, NaN where there is none.
        spread: float64, or None where the metric has none.
        status: why there is no value.
        ranks: as `scoring.ranking.rank` gives them for these rows.
        scored_at: UTC.
        dataset_version: the version the rows belong to.
        score_key: the staged shard of each row.
    """
    n = len(example_id)
    table = pa.table(
        {
            "example_id": example_id,
            "name": pa.array(name, pa.string()),
            "label": _known(label, pa.int32()),
            "predicted": _known(predicted, pa.int32()),
            "value": _numbers(value),
            "spread": pa.nulls(n, pa.float64()) if spread is None else _numbers(spread),
            "status": _texts(status),
            "rank": _known(ranks.rank, pa.int64()),
            "percentile": _numbers(ranks.percentile),
            "class_percentile": _numbers(ranks.class_percentile),
            "class_z": _numbers(ranks.class_z),
            "scored_at": _repeated(scored_at, n) if isinstance(scored_at, datetime) else scored_at,
            "dataset_version": pa.repeat(pa.scalar(dataset_version), n),
            "score_key": pa.array(score_key, pa.string()),
        },
        schema=SCORES,
    )
    return table.sort_by(
        [("label", "ascending"), ("rank", "ascending"), ("example_id", "ascending")]
    )


def _known(column: Ints, kind: pa.DataType) -> pa.Array:
    return pa.array(column, kind, mask=np.asarray(column) < 0)


def _numbers(column: Floats) -> pa.Array:
    return pa.array(column, mask=np.isnan(column))


def _texts(column: Sequence[str | None] | npt.NDArray[np.str_]) -> pa.Array:
    texts = pa.array(column, pa.string())
    return pc.if_else(pc.equal(texts, ""), None, texts)


def _repeated(moment: datetime, n: int) -> pa.Array:
    return pa.repeat(pa.scalar(moment, _TIME), n)
