"""A shard: an explicit range of example ids in one immutable, content-named Parquet file."""

import hashlib
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from scoring.data.images import ImageShape, Pixels, WrongShape, as_png
from scoring.data.shapes import Inputs, InputShape
from scoring.data.sources import Layout, Piece, Rows
from scoring.data.texts import TextShape, plain
from scoring.errors import BadData, BadStore
from scoring.keys import digest
from scoring.storage import Storage

_FIELDS = [
    pa.field("example_id", pa.int64(), nullable=False),
    pa.field("label", pa.int32()),
    pa.field("name", pa.string()),
]
_ENCODING = b"encoding"
_GROUP_ROWS = 250  # what a reader of one example has to read


@dataclass(frozen=True, kw_only=True)
class ShardRecord:
    """What a dataset version knows of one shard."""

    content: str
    """Hash of ids, names, labels and the bytes of images or texts in canonical form, and the shape
    decoded to."""
    first_id: int
    rows: int
    undecodable: int
    """Rows whose image Pillow cannot read, or whose text holds no word."""
    trainable: int
    """Rows with a label and a readable image or text."""

    def path(self, dataset: str) -> str:
        """Where the shard lies in the store."""
        return f"datasets/{dataset}/shards/{self.content}.parquet"


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A decoded shard of N rows."""

    ids: npt.NDArray[np.int64]
    """[N] example ids, ascending."""
    labels: npt.NDArray[np.int64]
    """[N] class index, -1 where unknown."""
    inputs: Inputs
    """[N, H, W, D] uint8 pixels or [N, L] int16 tokens, zero where undecodable."""
    decodable: npt.NDArray[np.bool_]
    """[N]."""

    @property
    def kind(self) -> Literal["image", "text"]:
        """What its examples are."""
        return "image" if self.inputs.ndim > 2 else "text"

    def every(self, rows: int) -> "Shard":
        """The first of every so many rows, without a copy."""
        columns = {field.name: getattr(self, field.name)[::rows] for field in fields(self)}
        return Shard(**columns)


def class_indices(
    labels: Sequence[int | str | None], layout: Layout, piece: Piece
) -> npt.NDArray[np.int64]:
    """Labels [N] of a piece as class indices, -1 where unknown.

    Raises:
        BadData: a label outside the classes of the training split.
    """
    index: dict[int | str | None, int] = {name: i for i, name in enumerate(layout.classes)}
    index |= {i: i for i in range(len(layout.classes))} | {None: -1}
    for row, label in enumerate(labels, start=piece.start):
        if label not in index:
            raise BadData(
                f"{piece.file} row {row}: expected a label among the training split's "
                f"{len(layout.classes)} classes, got {label!r}"
            )
    return np.array([index[label] for label in labels], dtype=np.int64)


def write_shard(
    storage: Storage, dataset: str, layout: Layout, piece: Piece, rows: Rows, first_id: int
) -> ShardRecord:
    """Check the rows of a piece and write them as a shard.

    Raises:
        BadData: labels out of range, or an image of another shape.
    """
    labels = class_indices(rows.labels, layout, piece)
    if rows.pixels is not None:
        files: list[bytes | None] = [image.tobytes() for image in rows.pixels]
        encoding, decodable = "raw", np.ones(len(files), dtype=np.bool_)
    else:
        files, encoding = list(rows.encoded or ()), "file"
        decodable = _decodable(files, layout.shape, piece)
    record = ShardRecord(
        content=_content_hash(first_id, labels, rows.names, files, encoding, layout.shape),
        first_id=first_id,
        rows=len(files),
        undecodable=int((~decodable).sum()),
        trainable=int((decodable & (labels >= 0)).sum()),
    )
    if storage.exists(record.path(dataset)):
        return record
    table = pa.table(
        {
            "example_id": np.arange(first_id, first_id + len(files)),
            "label": pa.array(labels, mask=labels < 0),
            "name": list(rows.names),
            layout.shape.column: files,
        },
        schema=pa.schema(
            [*_FIELDS, pa.field(layout.shape.column, pa.binary())],
            metadata={_ENCODING: encoding.encode()},
        ),
    )
    buffer = io.BytesIO()
    # No example comes twice, so a dictionary of them is work for nothing.
    pq.write_table(
        table, buffer, compression="zstd", row_group_size=_GROUP_ROWS, use_dictionary=["label"]
    )
    storage.write(record.path(dataset), buffer.getvalue())
    return record


def read_shard(storage: Storage, dataset: str, record: ShardRecord, shape: InputShape) -> Shard:
    """Read and decode a shard; what is undecodable becomes zeros."""
    table = pq.read_table(pa.BufferReader(storage.read(record.path(dataset))))
    inputs = np.zeros((len(table), *shape.dims), dtype=shape.dtype)
    decodable = np.zeros(len(table), dtype=np.bool_)
    for i, decoded in enumerate(_decoded(table, shape)):
        if decoded is not None:
            inputs[i], decodable[i] = decoded, True
    labels = table["label"].fill_null(-1).to_numpy().astype(np.int64)
    return Shard(
        ids=table["example_id"].to_numpy(), labels=labels, inputs=inputs, decodable=decodable
    )


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
        if table.schema.metadata[_ENCODING] == b"raw":
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
    found = zip(table["example_id"].to_pylist(), _decoded(table, shape), strict=True)
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
        for image in _decoded(table, shape):
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


def _decoded(table: pa.Table, shape: InputShape) -> Iterator[Inputs | None]:
    """The examples of a shard's rows one by one; None where one cannot be read."""
    raw = table.schema.metadata[_ENCODING] == b"raw"
    for scalar in table[shape.column]:
        data = scalar.as_py()
        yield np.frombuffer(data, np.uint8).reshape(shape.dims) if raw else shape.decode(data)


def _decodable(files: list[bytes | None], shape: InputShape, piece: Piece) -> npt.NDArray[np.bool_]:
    decodable = np.zeros(len(files), dtype=np.bool_)
    for row, data in enumerate(files):
        try:
            decodable[row] = shape.decode(data) is not None
        except WrongShape as error:
            raise BadData(f"{piece.file} row {piece.start + row}: {error}") from error
    return decodable


def _content_hash(
    first_id: int,
    labels: npt.NDArray[np.int64],
    names: Sequence[str | None],
    files: list[bytes | None],
    encoding: str,
    shape: InputShape,
) -> str:
    held = hashlib.sha256()
    for data in files:
        held.update(len(data or b"").to_bytes(8, "little"))
        held.update(data or b"")
    return digest([first_id, labels.tolist(), names, encoding, shape, held.hexdigest()])


@contextmanager
def reading(storage: Storage, name: str, record: ShardRecord) -> Iterator[None]:
    """Turn what goes wrong while a shard is read into one line.

    Raises:
        BadStore: it could not be read.
    """
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise BadStore(
            f"--store: expected to read {storage.uri}/{record.path(name)}, got "
            f"{type(error).__name__}"
        ) from error
