"""Read parts of a shard: some columns, some rows, or all rows a few at a time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scoring.arrays import Ints
from scoring.data.images import ImageShape, Pixels, as_png
from scoring.data.shapes import InputShape
from scoring.data.shard_columns import (
    COLUMNS,
    check_examples,
    columns_of,
    decode_rows,
    holds_pixels,
)
from scoring.data.shards import ShardRecord, expected
from scoring.data.texts import TextShape, plain_text
from scoring.store.parquet import opened_parquet
from scoring.store.sealed import damaged
from scoring.store.storage import Storage


@contextmanager
def _opened(
    storage: Storage, dataset: str, record: ShardRecord, schema: pa.Schema
) -> Iterator[pq.ParquetFile]:
    path = record.path(dataset)
    with expected(path), opened_parquet(storage, path, schema) as file:
        if file.metadata.num_rows != record.rows:
            raise damaged(storage, path)
        yield file


def read_columns(
    storage: Storage, dataset: str, record: ShardRecord, columns: Sequence[str]
) -> pa.Table:
    """Read some of the columns `example_id`, `label` and `name`, but not the examples."""
    with _opened(storage, dataset, record, COLUMNS) as file:
        return file.read(list(columns))


def read_files(
    storage: Storage, dataset: str, record: ShardRecord, shape: InputShape
) -> Iterator[pa.Table]:
    """Read all columns of a shard, a few hundred rows at a time.

    Images and texts come as the original files, decodable or not; raw pixels are encoded as PNG.
    """
    for table in _row_groups(storage, dataset, record, shape):
        if holds_pixels(table):
            pixels = (np.frombuffer(data, np.uint8) for data in table["image"].to_pylist())
            files = [as_png(image.reshape(shape.dims)) for image in pixels]
            column = table.schema.get_field_index("image")
            table = table.set_column(column, "image", pa.array(files, pa.binary()))
        yield table


def read_images(
    storage: Storage,
    dataset: str,
    record: ShardRecord,
    shape: ImageShape,
    ids: Ints,
) -> dict[int, Pixels]:
    """Decode some images of a shard; map id to [H, W, D] uint8, leaving out undecodable ones."""
    table = read_rows(storage, dataset, record, shape, ids)
    images = zip(table["example_id"].to_pylist(), decode_rows(table, shape), strict=True)
    return {i: np.asarray(image, np.uint8) for i, image in images if image is not None}


def read_texts(
    storage: Storage,
    dataset: str,
    record: ShardRecord,
    shape: TextShape,
    ids: Ints,
) -> dict[int, str]:
    """Read some texts of a shard by id, in readable form."""
    table = read_rows(storage, dataset, record, shape, ids)
    texts = zip(table["example_id"].to_pylist(), table[shape.column].to_pylist(), strict=True)
    return {i: plain_text(data) for i, data in texts}


def read_rows(
    storage: Storage,
    dataset: str,
    record: ShardRecord,
    shape: InputShape,
    ids: Ints,
    more: Sequence[str] = (),
) -> pa.Table:
    """Read `example_id`, more columns and the example of some rows.

    Only the row groups that they are in are touched.
    """
    with _opened(storage, dataset, record, columns_of(shape)) as parquet:
        sizes = [parquet.metadata.row_group(i).num_rows for i in range(parquet.num_row_groups)]
        group_of_id = np.searchsorted(np.cumsum(sizes), ids - record.first_id, side="right")
        wanted = sorted({int(group) for group in group_of_id if group < len(sizes)})
        table = parquet.read_row_groups(wanted, columns=["example_id", *more, shape.column])
    check_examples(storage, record.path(dataset), table, shape)
    return table.filter(np.isin(table["example_id"].to_numpy(), ids))


def iterate_images(
    storage: Storage, dataset: str, record: ShardRecord, shape: ImageShape
) -> Iterator[Pixels | None]:
    """Yield the images of a shard one by one, [H, W, D] uint8, or None where undecodable."""
    for table in _row_groups(storage, dataset, record, shape, [shape.column]):
        for image in decode_rows(table, shape):
            yield None if image is None else np.asarray(image, np.uint8)


def iterate_texts(
    storage: Storage, dataset: str, record: ShardRecord, shape: TextShape
) -> Iterator[str]:
    """Yield the texts of a shard one by one, in readable form."""
    for table in _row_groups(storage, dataset, record, shape, [shape.column]):
        yield from map(plain_text, table[shape.column].to_pylist())


def _row_groups(
    storage: Storage,
    dataset: str,
    record: ShardRecord,
    shape: InputShape,
    columns: list[str] | None = None,
) -> Iterator[pa.Table]:
    """Yield some or all columns of a shard, one row group in memory at a time."""
    with _opened(storage, dataset, record, columns_of(shape)) as parquet:
        for group in range(parquet.num_row_groups):
            table = parquet.read_row_group(group, columns=columns)
            check_examples(storage, record.path(dataset), table, shape)
            yield table
