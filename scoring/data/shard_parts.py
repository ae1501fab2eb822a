"""Parts of a shard: some of its columns, some of its rows, or all of them a few at a time."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from scoring.data.images import ImageShape, Pixels, as_png
from scoring.data.shapes import InputShape
from scoring.data.shards import ShardRecord, decoded, holds_pixels
from scoring.data.texts import TextShape, plain
from scoring.store.storage import Storage


def read_columns(
    storage: Storage, dataset: str, record: ShardRecord, columns: Sequence[str]
) -> pa.Table:
    """Some of `example_id`, `label` and `name` of a shard; its examples stay where they are."""
    with storage.open(record.path(dataset)) as file:
        return pq.ParquetFile(file).read(list(columns))


def read_files(
    storage: Storage, dataset: str, record: ShardRecord, shape: InputShape
) -> Iterator[pa.Table]:
    """All columns of a shard, a few hundred rows at a time.

    Images and texts are files, as they came and whether or not they decode; raw pixels become PNG.
    """
    for table in _groups(storage, dataset, record):
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
    ids: npt.NDArray[np.int64],
) -> dict[int, Pixels]:
    """Decode some images of a shard: id to [H, W, D] uint8, without those that do not decode."""
    table = _some(storage, dataset, record, shape, ids)
    found = zip(table["example_id"].to_pylist(), decoded(table, shape), strict=True)
    return {i: np.asarray(image, np.uint8) for i, image in found if image is not None}


def read_texts(
    storage: Storage,
    dataset: str,
    record: ShardRecord,
    shape: TextShape,
    ids: npt.NDArray[np.int64],
) -> dict[int, str]:
    """Some texts of a shard, by id, as a person reads them."""
    table = _some(storage, dataset, record, shape, ids)
    found = zip(table["example_id"].to_pylist(), table[shape.column].to_pylist(), strict=True)
    return {i: plain(data) for i, data in found}


def _some(
    storage: Storage,
    dataset: str,
    record: ShardRecord,
    shape: InputShape,
    ids: npt.NDArray[np.int64],
) -> pa.Table:
    """Some rows of a shard, `example_id` and what they hold; only their row groups are read."""
    with storage.open(record.path(dataset)) as file:
        parquet = pq.ParquetFile(file)
        groups = [parquet.metadata.row_group(i).num_rows for i in range(parquet.num_row_groups)]
        holding = np.searchsorted(np.cumsum(groups), ids - record.first_id, side="right")
        wanted = sorted({int(group) for group in holding if group < len(groups)})
        table = parquet.read_row_groups(wanted, columns=["example_id", shape.column])
    return table.filter(np.isin(table["example_id"].to_numpy(), ids))


def iterate_images(
    storage: Storage, dataset: str, record: ShardRecord, shape: ImageShape
) -> Iterator[Pixels | None]:
    """The images of a shard one by one, [H, W, D] uint8; None where Pillow cannot read one."""
    for table in _groups(storage, dataset, record, [shape.column]):
        for image in decoded(table, shape):
            yield None if image is None else np.asarray(image, np.uint8)


def iterate_texts(
    storage: Storage, dataset: str, record: ShardRecord, shape: TextShape
) -> Iterator[str]:
    """The texts of a shard one by one, as a person reads them."""
    for table in _groups(storage, dataset, record, [shape.column]):
        yield from map(plain, table[shape.column].to_pylist())


def _groups(
    storage: Storage, dataset: str, record: ShardRecord, columns: list[str] | None = None
) -> Iterator[pa.Table]:
    """Some or all columns of a shard, a row group in memory at a time."""
    with storage.open(record.path(dataset)) as file:
        parquet = pq.ParquetFile(file)
        for group in range(parquet.num_row_groups):
            yield parquet.read_row_group(group, columns=columns)
