"""Explanations: staged shard by shard, then published as a partition of `representers`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from scoring.store.parquet import read_parquet, write_parquet
from scoring.store.storage import Storage
from scoring.tables import sql
from scoring.tables.schemas import REPRESENTER_MODELS, REPRESENTERS
from scoring.tables.whole_partitions import (
    REPRESENTER_MODELS_TABLE,
    REPRESENTERS_TABLE,
    replace_partition,
    table_sql,
)


@dataclass(frozen=True, kw_only=True)
class RepresenterModel:
    """A layer at rest, and how exactly its outputs are the sum of their parts.

    The fields are the columns of `REPRESENTER_MODELS`.
    """

    base_run: str
    layer: str
    penalty: float
    targets: str
    rows: int
    gradient_norm: float
    residual_train: float
    residual_test: float
    pearson_train: float
    pearson_test: float
    train_version: str
    test_version: str
    seconds: float
    solved_at: datetime


def write_explanations(
    storage: Storage, path: str, columns: Mapping[str, npt.NDArray[Any]]
) -> None:
    """Stage the explanations of a shard, given as columns of `REPRESENTERS`; unknown labels -1."""
    arrays = {field.name: pa.array(columns[field.name]).cast(field.type) for field in REPRESENTERS}
    unknown = pa.scalar(None, pa.int32())
    arrays["label"] = pc.if_else(pc.less(arrays["label"], 0), unknown, arrays["label"])
    write_parquet(storage, path, pa.table(arrays, schema=REPRESENTERS))


def read_explanations(storage: Storage, path: str) -> pa.Table:
    """Read the staged explanations of a shard."""
    return read_parquet(storage, path, REPRESENTERS)


def publish_explanations(
    storage: Storage, dataset: str, split: str, run: str, paths: Sequence[str], *, whole: bool
) -> int:
    """Publish staged explanations in one commit.

    Args:
        storage: the store.
        dataset: its name in `scores`.
        split: the split of the explained examples.
        run: the representer run.
        paths: staged files; read one at a time.
        whole: replace the whole partition; if False, keep its rows for other examples.

    Returns:
        The new version of `representers`.
    """
    partition = {"dataset": dataset, "split": split, "run": run}
    staged = (read_explanations(storage, path) for path in paths)
    rows = staged if whole else _merged(_published(storage, partition), list(staged))
    return replace_partition(storage, REPRESENTERS_TABLE, partition, _batches(rows))


def publish_model(storage: Storage, dataset: str, run: str, model: RepresenterModel) -> int:
    """Publish the row of a run in `representer_models`; return the table's new version."""
    rows = pa.Table.from_pylist([vars(model)], schema=REPRESENTER_MODELS).to_batches()
    partition = {"dataset": dataset, "run": run}
    return replace_partition(storage, REPRESENTER_MODELS_TABLE, partition, rows)


def _published(storage: Storage, partition: dict[str, str]) -> pa.Table:
    columns = ", ".join(REPRESENTERS.names)
    views = {"representers": lambda: table_sql(storage, REPRESENTERS_TABLE, partition)}
    return sql.run(storage, f"select {columns} from representers", views).cast(REPRESENTERS)


def _merged(before: pa.Table, new: Sequence[pa.Table]) -> Iterator[pa.Table]:
    """Yield the rows of both, new rows instead of old ones for examples that have them."""
    every = pa.concat_tables([*new]) if new else before.slice(0, 0)
    yield before.filter(pc.invert(pc.is_in(before["test_id"], every["test_id"].unique())))
    yield every


def _batches(tables: Iterable[pa.Table]) -> Iterator[pa.RecordBatch]:
    for table in tables:
        yield from table.to_batches()
