"""The sorted rows of a partition, one row group at a time.

Only numbers are in memory for the whole partition; strings are looked up for each row group.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from scoring.arrays import AnyInts, Floats, Strings
from scoring.errors import IncompleteError
from scoring.score.ranking import RankColumns
from scoring.tables.manifest import Manifest
from scoring.tables.schemas import SCORES

GROUP_ROWS = 1 << 15
Rows = Iterable[pa.RecordBatch]
"""Rows of schema `SCORES`, sorted by label and rank, nulls last."""
_LAST = np.iinfo(np.int64).max


def score_rows(
    *,
    example_id: AnyInts,
    name: pa.Array,
    label: AnyInts,
    given_label: AnyInts,
    predicted: AnyInts,
    value: Floats,
    spread: Floats | None,
    status: Strings,
    ranks: RankColumns,
    scored_at: pa.Array,
    dataset_version: str,
    score_key: pa.Array,
) -> Iterator[pa.RecordBatch]:
    """Make the rows of a partition, sorted and ready to publish; NaN, -1 and "" become null.

    Strings and times may be dictionary-encoded, to keep a value that many rows share only once.

    Args:
        example_id: [N], like all other columns.
        name: the user's own ids.
        label: class index, -1 where unknown or excluded.
        given_label: class index in the source, -1 unless a correction changed it.
        predicted: class index, -1 where unknown.
        value: in the metric's unit, NaN where there is none.
        spread: standard deviation over runs; None if the metric has none.
        status: why there is no value, "" where there is one.
        ranks: the ranks of these rows, from `scoring.score.ranking.rank`.
        scored_at: UTC, microseconds.
        dataset_version: the version that all rows belong to.
        score_key: the staged shard of each row.
    """
    order = np.lexsort((example_id, _nulls_last(ranks.rank), _nulls_last(label)))
    for start in range(0, len(order), GROUP_ROWS):
        rows = order[start : start + GROUP_ROWS]
        columns = {
            "example_id": example_id[rows],
            "name": name.take(rows),
            "label": _known(label[rows]),
            "given_label": _known(given_label[rows]),
            "predicted": _known(predicted[rows]),
            "value": _numbers(value[rows]),
            "spread": pa.nulls(len(rows)) if spread is None else _numbers(spread[rows]),
            "status": pa.array([reason or None for reason in status[rows]], pa.string()),
            "rank": _known(ranks.rank[rows]),
            "percentile": _numbers(ranks.percentile[rows]),
            "class_percentile": _numbers(ranks.class_percentile[rows]),
            "class_z": _numbers(ranks.class_z[rows]),
            "scored_at": scored_at.take(rows),
            "dataset_version": pa.repeat(dataset_version, len(rows)),
            "score_key": score_key.take(rows),
        }
        yield pa.RecordBatch.from_pydict(
            {name: pa.array(column) for name, column in columns.items()}
        ).cast(SCORES)


def checked(manifest: Manifest, rows: Rows) -> Iterator[pa.RecordBatch]:
    """Pass rows on, checking that they are the whole partition, each row once, in order.

    Raises:
        IncompleteError: they are not; raised after the last row at the latest.
    """
    where = str(manifest.partition)
    ids = np.empty(manifest.rows, dtype=np.int64)
    last, seen = (0, 0), 0
    for batch in rows:
        if not batch.schema.equals(SCORES):
            raise ValueError(f"{where}: expected the columns of SCORES, got {batch.schema}")
        if not len(batch):
            continue
        last = _in_order(where, batch, last)
        new = batch["example_id"].to_numpy()[: len(ids) - seen]
        ids[seen : seen + len(new)] = new
        seen += len(batch)
        yield batch
    if seen != manifest.rows:
        raise IncompleteError(f"{where}: expected {manifest.rows} rows, got {seen}")
    ids.sort()
    if twice := np.count_nonzero(ids[1:] == ids[:-1]):
        raise IncompleteError(
            f"{where}: expected every example once, got {seen - twice} different ids"
        )


def _in_order(where: str, batch: pa.RecordBatch, last: tuple[int, int]) -> tuple[int, int]:
    """Return label and rank of the last row, after checking that the batch continues `last`."""
    columns = (batch[name].cast(pa.int64()).fill_null(_LAST) for name in ("label", "rank"))
    label, rank = (
        np.concatenate(([before], column.to_numpy()))
        for before, column in zip(last, columns, strict=True)
    )
    rises = np.diff(label)
    if np.any(rises < 0) or np.any(np.diff(rank)[rises == 0] < 0):
        raise IncompleteError(f"{where}: expected rows sorted by label and rank, got another order")
    return int(label[-1]), int(rank[-1])


def _nulls_last(column: AnyInts) -> AnyInts:
    last = column.dtype.type(np.iinfo(column.dtype).max)
    return np.where(column < 0, last, column) if (column < 0).any() else column


def _known(column: AnyInts) -> pa.Array:
    return pa.array(column, mask=column < 0)


def _numbers(column: Floats) -> pa.Array:
    return pa.array(column, mask=np.isnan(column))
