"""A shard: an explicit range of example ids in one immutable, content-named Parquet file."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
import pyarrow as pa

from scoring.arrays import Bools, Ints
from scoring.data.images import WrongShape
from scoring.data.shapes import Inputs, InputShape
from scoring.data.sources import Layout, Piece, Rows
from scoring.errors import BadData, BadStore, Damaged
from scoring.store.keys import digest
from scoring.store.layout import shard_path
from scoring.store.parquet import read_parquet, write_parquet
from scoring.store.storage import Storage

_FIELDS = [
    pa.field("example_id", pa.int64(), nullable=False),
    pa.field("label", pa.int32()),
    pa.field("name", pa.string()),
]
_ENCODING = b"encoding"
_GROUP_ROWS = 250  # rows that must be read to get at one example


@dataclass(frozen=True, kw_only=True)
class ShardRecord:
    """A dataset version's entry for one shard."""

    content: str
    """Hash of the ids, names and labels, the bytes of the images or texts in canonical form, and
    the shape that they are decoded to."""
    first_id: int
    rows: int
    undecodable: int
    """Rows whose image Pillow cannot read, or whose text has no words."""
    trainable: int
    """Rows with a label and a readable image or text."""

    def path(self, dataset: str) -> str:
        """Return the shard's path in the store."""
        return shard_path(dataset, self.content)


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A decoded shard of N rows."""

    ids: Ints
    """[N] example ids, ascending."""
    labels: Ints
    """[N] class indices, -1 where unknown."""
    inputs: Inputs
    """[N, H, W, D] uint8 pixels or [N, L] int16 tokens, zero where undecodable."""
    decodable: Bools
    """[N]."""

    @property
    def kind(self) -> Literal["image", "text"]:
        """Kind of the examples."""
        return "image" if self.inputs.ndim > 2 else "text"

    def every(self, n: int) -> "Shard":
        """Return every n-th row, starting with the first, without a copy."""
        columns = {field.name: getattr(self, field.name)[::n] for field in fields(self)}
        return Shard(**columns)


def class_indices(labels: Sequence[int | str | None], layout: Layout, piece: Piece) -> Ints:
    """Convert the labels [N] of a piece to class indices, -1 where unknown.

    Raises:
        BadData: a label is not a class of the training split.
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
        BadData: a label is not a class of the training split, or an image has another shape.
    """
    labels = class_indices(rows.labels, layout, piece)
    files, encoding, decodable = _examples(rows, layout.shape, piece)
    record = ShardRecord(
        content=_content_hash(first_id, labels, rows.names, files, encoding, layout.shape),
        first_id=first_id,
        rows=len(files),
        undecodable=int((~decodable).sum()),
        trainable=int((decodable & (labels >= 0)).sum()),
    )
    if storage.exists(record.path(dataset)):
        return record
    schema = pa.schema(
        [*_FIELDS, pa.field(layout.shape.column, pa.binary())],
        metadata={_ENCODING: encoding.encode()},
    )
    columns = {
        "example_id": np.arange(first_id, first_id + len(files)),
        "label": pa.array(labels, mask=labels < 0),
        "name": list(rows.names),
        layout.shape.column: files,
    }
    write_parquet(
        storage,
        record.path(dataset),
        pa.table(columns, schema=schema),
        row_group_size=_GROUP_ROWS,
        # Examples hardly ever repeat, so a dictionary of them would be wasted work.
        use_dictionary=["label"],
    )
    return record


def _examples(rows: Rows, shape: InputShape, piece: Piece) -> tuple[list[bytes | None], str, Bools]:
    """Return the bytes of the examples, how they are encoded, and which of them decode."""
    if rows.pixels is None:
        files = list(rows.encoded or ())
        return files, "file", _check_decodable(files, shape, piece)
    if rows.pixels.shape[1:] != shape.dims or rows.pixels.dtype != shape.dtype:
        raise BadData(
            f"{piece.file} row {piece.start}: expected images of {shape} {shape.dtype}, got "
            f"{'x'.join(map(str, rows.pixels.shape[1:]))} {rows.pixels.dtype}"
        )
    return [image.tobytes() for image in rows.pixels], "raw", np.ones(len(rows.pixels), np.bool_)


def read_shard(storage: Storage, dataset: str, record: ShardRecord, shape: InputShape) -> Shard:
    """Read and decode a shard; undecodable examples become zeros.

    Raises:
        Damaged: it is missing, or not what was written.
    """
    with expected(record.path(dataset)):
        table = read_parquet(storage, record.path(dataset))
    inputs = np.zeros((len(table), *shape.dims), dtype=shape.dtype)
    decodable = np.zeros(len(table), dtype=np.bool_)
    for i, example in enumerate(decode_rows(table, shape)):
        if example is not None:
            inputs[i], decodable[i] = example, True
    labels = table["label"].fill_null(-1).to_numpy().astype(np.int64)
    return Shard(
        ids=table["example_id"].to_numpy(), labels=labels, inputs=inputs, decodable=decodable
    )


def holds_pixels(table: pa.Table) -> bool:
    """Whether the examples are raw pixels rather than files."""
    return bool(table.schema.metadata[_ENCODING] == b"raw")


def decode_rows(table: pa.Table, shape: InputShape) -> Iterator[Inputs | None]:
    """Decode the examples of a shard's rows one by one; None where undecodable."""
    raw = holds_pixels(table)
    for scalar in table[shape.column]:
        data = scalar.as_py()
        yield np.frombuffer(data, np.uint8).reshape(shape.dims) if raw else shape.decode(data)


def _check_decodable(files: list[bytes | None], shape: InputShape, piece: Piece) -> Bools:
    """[N]: whether each file decodes; refuse images of another shape."""
    decodable = np.zeros(len(files), dtype=np.bool_)
    for row, data in enumerate(files):
        try:
            decodable[row] = shape.decode(data) is not None
        except WrongShape as error:
            raise BadData(f"{piece.file} row {piece.start + row}: {error}") from error
    return decodable


def _content_hash(
    first_id: int,
    labels: Ints,
    names: Sequence[str | None],
    files: list[bytes | None],
    encoding: str,
    shape: InputShape,
) -> str:
    examples = hashlib.sha256()
    for data in files:
        examples.update(len(data or b"").to_bytes(8, "little"))
        examples.update(data or b"")
    return digest([first_id, labels.tolist(), names, encoding, shape, examples.hexdigest()])


@contextmanager
def expected(path: str) -> Iterator[None]:
    """Name a shard that is missing; the next ingest makes it again.

    Raises:
        Damaged: there is no such file.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise Damaged(
            f"--store: expected {path}, got no such file; rescore makes it again"
        ) from error


@contextmanager
def reading(storage: Storage, name: str, record: ShardRecord) -> Iterator[None]:
    """Turn errors while a shard is being read into a one-line `BadStore`.

    Raises:
        BadStore: the shard could not be read.
    """
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise BadStore(
            f"--store: expected to read {storage.uri}/{record.path(name)}, got "
            f"{type(error).__name__}"
        ) from error
