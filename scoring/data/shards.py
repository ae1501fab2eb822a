"""A shard: an explicit range of example ids in one immutable, content-named Parquet file."""

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from scoring.data.images import ImageShape, Pixels, WrongShape, decode
from scoring.data.sources import Layout, Piece, Rows
from scoring.errors import BadData
from scoring.keys import digest
from scoring.storage import Storage

_SCHEMA = pa.schema(
    [
        pa.field("example_id", pa.int64(), nullable=False),
        pa.field("label", pa.int32()),
        pa.field("name", pa.string()),
        pa.field("image", pa.binary()),
    ]
)
_ENCODING = b"encoding"
_GROUP_ROWS = 250  # what a reader of one image has to read


@dataclass(frozen=True, kw_only=True)
class ShardRecord:
    """What a dataset version knows of one shard."""

    content: str
    """Hash of ids, names, labels and image bytes in canonical form, and the shape decoded to."""
    first_id: int
    rows: int
    undecodable: int
    """Rows whose image Pillow cannot read."""
    trainable: int
    """Rows with a label and a readable image."""

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
    images: Pixels
    """[N, H, W, D] uint8, zero where undecodable."""
    decodable: npt.NDArray[np.bool_]
    """[N]."""


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
        images: list[bytes | None] = [image.tobytes() for image in rows.pixels]
        encoding, decodable = "raw", np.ones(len(images), dtype=np.bool_)
    else:
        images, encoding = list(rows.encoded or ()), "file"
        decodable = _decodable(images, layout.shape, piece)
    record = ShardRecord(
        content=_content_hash(first_id, labels, rows.names, images, encoding, layout.shape),
        first_id=first_id,
        rows=len(images),
        undecodable=int((~decodable).sum()),
        trainable=int((decodable & (labels >= 0)).sum()),
    )
    if storage.exists(record.path(dataset)):
        return record
    table = pa.table(
        {
            "example_id": np.arange(first_id, first_id + len(images)),
            "label": pa.array(labels, mask=labels < 0),
            "name": list(rows.names),
            "image": images,
        },
        schema=_SCHEMA.with_metadata({_ENCODING: encoding.encode()}),
    )
    buffer = io.BytesIO()
    # No image comes twice, so a dictionary of them is work for nothing.
    pq.write_table(
        table, buffer, compression="zstd", row_group_size=_GROUP_ROWS, use_dictionary=["label"]
    )
    storage.write(record.path(dataset), buffer.getvalue())
    return record


def read_shard(storage: Storage, dataset: str, record: ShardRecord, shape: ImageShape) -> Shard:
    """Read and decode a shard; undecodable images become zeros."""
    table = pq.read_table(pa.BufferReader(storage.read(record.path(dataset))))
    images = np.zeros((len(table), *shape.dims), dtype=np.uint8)
    decodable = np.zeros(len(table), dtype=np.bool_)
    for i, image in enumerate(_decoded(table, shape)):
        if image is not None:
            images[i], decodable[i] = image, True
    labels = table["label"].fill_null(-1).to_numpy().astype(np.int64)
    return Shard(
        ids=table["example_id"].to_numpy(), labels=labels, images=images, decodable=decodable
    )


def read_columns(
    storage: Storage, dataset: str, record: ShardRecord, columns: Sequence[str]
) -> pa.Table:
    """Some of `example_id`, `label` and `name` of a shard; its images stay where they are."""
    with storage.open(record.path(dataset)) as file:
        return pq.ParquetFile(file).read(list(columns))


def read_images(
    storage: Storage,
    dataset: str,
    record: ShardRecord,
    shape: ImageShape,
    ids: npt.NDArray[np.int64],
) -> dict[int, Pixels]:
    """Decode some images of a shard: id to [H, W, D] uint8, without those that do not decode."""
    with storage.open(record.path(dataset)) as file:
        parquet = pq.ParquetFile(file)
        groups = [parquet.metadata.row_group(i).num_rows for i in range(parquet.num_row_groups)]
        holding = np.searchsorted(np.cumsum(groups), ids - record.first_id, side="right")
        wanted = sorted({int(group) for group in holding if group < len(groups)})
        table = parquet.read_row_groups(wanted, columns=["example_id", "image"])
    table = table.filter(np.isin(table["example_id"].to_numpy(), ids))
    found = zip(table["example_id"].to_pylist(), _decoded(table, shape), strict=True)
    return {example_id: image for example_id, image in found if image is not None}


def iterate_images(
    storage: Storage, dataset: str, record: ShardRecord, shape: ImageShape
) -> Iterator[Pixels | None]:
    """Decode the images of a shard one by one, [H, W, D] uint8; None where Pillow cannot read it.

    No more than a row group of encoded images is in memory.
    """
    with storage.open(record.path(dataset)) as file:
        parquet = pq.ParquetFile(file)
        for group in range(parquet.num_row_groups):
            yield from _decoded(parquet.read_row_group(group, columns=["image"]), shape)


def _decoded(table: pa.Table, shape: ImageShape) -> Iterator[Pixels | None]:
    """The images of a shard's rows one by one; None where Pillow cannot read it."""
    raw = table.schema.metadata[_ENCODING] == b"raw"
    for scalar in table["image"]:
        data = scalar.as_py()
        yield np.frombuffer(data, np.uint8).reshape(shape.dims) if raw else decode(data, shape)


def _decodable(
    images: list[bytes | None], shape: ImageShape, piece: Piece
) -> npt.NDArray[np.bool_]:
    decodable = np.zeros(len(images), dtype=np.bool_)
    for row, data in enumerate(images):
        try:
            decodable[row] = decode(data, shape) is not None
        except WrongShape as error:
            raise BadData(f"{piece.file} row {piece.start + row}: {error}") from error
    return decodable


def _content_hash(
    first_id: int,
    labels: npt.NDArray[np.int64],
    names: Sequence[str | None],
    images: list[bytes | None],
    encoding: str,
    shape: ImageShape,
) -> str:
    pixels = hashlib.sha256()
    for data in images:
        pixels.update(len(data or b"").to_bytes(8, "little"))
        pixels.update(data or b"")
    return digest([first_id, labels.tolist(), names, encoding, shape, pixels.hexdigest()])
