"""A shard: an explicit range of example ids in one immutable, content-named Parquet file."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
import pyarrow as pa

from scoring.arrays import Bools, Ints
from scoring.data.forgotten import kept_ranges
from scoring.data.images import WrongShape
from scoring.data.shapes import Inputs, InputShape
from scoring.data.shard_columns import (
    ENCODING,
    check_examples,
    columns_of,
    decode_rows,
    holds_pixels,
)
from scoring.data.sources import Layout, Piece, Rows
from scoring.errors import BadData, BadStore, Damaged
from scoring.store.keys import digest
from scoring.store.layout import receipt_path, shard_path
from scoring.store.parquet import read_parquet, write_parquet
from scoring.store.sealed import damaged
from scoring.store.storage import Storage

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
class Receipt(ShardRecord):
    """What a receipt holds."""

    whole: str = ""
    """Key that the receipt of the whole piece would have, if the shard is only a part of it."""


def cut_receipt(dataset: str, whole: str, first_id: int, rows: int) -> str:
    """Return the path of the receipt of a part of a piece.

    Args:
        dataset: the dataset's name in the store.
        whole: key of the receipt of the whole piece.
        first_id: first example id of the part.
        rows: rows of the part.
    """
    return receipt_path(dataset, digest([whole, first_id, rows]))


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
    columns = _Columns(
        first_id=first_id,
        labels=labels,
        names=rows.names,
        files=files,
        encoding=encoding,
        decodable=decodable,
        shape=layout.shape,
    )
    return columns.write(storage, dataset)


def cut_shard(
    storage: Storage,
    dataset: str,
    record: ShardRecord,
    shape: InputShape,
    forgotten: Sequence[int],
) -> list[ShardRecord]:
    """Write the shards that are left of a shard without its forgotten rows; it stays as it is.

    They are the same as ingest makes of the same rows.

    Args:
        storage: the store.
        dataset: the dataset's name in it.
        record: the shard.
        shape: the shape of its examples.
        forgotten: forgotten ids, ascending.
    """
    table = _read(storage, dataset, record, shape)
    made = []
    for first_id, rows in kept_ranges(record.first_id, record.rows, forgotten):
        part = table.slice(first_id - record.first_id, rows)
        columns = _Columns(
            first_id=first_id,
            labels=part["label"].fill_null(-1).to_numpy().astype(np.int64),
            names=part["name"].to_pylist(),
            files=part[shape.column].to_pylist(),
            encoding="raw" if holds_pixels(part) else "file",
            decodable=np.array([example is not None for example in decode_rows(part, shape)]),
            shape=shape,
        )
        made.append(columns.write(storage, dataset))
    return made


@dataclass(frozen=True, kw_only=True)
class _Columns:
    """The N rows of a shard that is to be written."""

    first_id: int
    labels: Ints
    names: Sequence[str | None]
    files: list[bytes | None]
    encoding: str
    decodable: Bools
    shape: InputShape

    def write(self, storage: Storage, dataset: str) -> ShardRecord:
        record = ShardRecord(
            content=self._content_hash(),
            first_id=self.first_id,
            rows=len(self.files),
            undecodable=int((~self.decodable).sum()),
            trainable=int((self.decodable & (self.labels >= 0)).sum()),
        )
        if storage.exists(record.path(dataset)):
            return record
        schema = columns_of(self.shape).with_metadata({ENCODING: self.encoding.encode()})
        columns = {
            "example_id": np.arange(self.first_id, self.first_id + record.rows),
            "label": pa.array(self.labels, mask=self.labels < 0),
            "name": list(self.names),
            self.shape.column: self.files,
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

    def _content_hash(self) -> str:
        examples = hashlib.sha256()
        for data in self.files:
            examples.update(len(data or b"").to_bytes(8, "little"))
            examples.update(data or b"")
        rows = [self.first_id, self.labels.tolist(), list(self.names)]
        return digest([*rows, self.encoding, self.shape, examples.hexdigest()])


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
        table = _read(storage, dataset, record, shape)
    inputs = np.zeros((len(table), *shape.dims), dtype=shape.dtype)
    decodable = np.zeros(len(table), dtype=np.bool_)
    for i, example in enumerate(decode_rows(table, shape)):
        if example is not None:
            inputs[i], decodable[i] = example, True
    labels = table["label"].fill_null(-1).to_numpy().astype(np.int64)
    return Shard(
        ids=table["example_id"].to_numpy(), labels=labels, inputs=inputs, decodable=decodable
    )


def _read(storage: Storage, dataset: str, record: ShardRecord, shape: InputShape) -> pa.Table:
    """Read a whole shard; raises what `read_parquet` raises."""
    path = record.path(dataset)
    table = read_parquet(storage, path, columns_of(shape))
    ids = np.arange(record.first_id, record.first_id + record.rows)
    if not np.array_equal(table["example_id"].to_numpy(), ids):
        raise damaged(storage, path)
    check_examples(storage, path, table, shape)
    return table


def _check_decodable(files: list[bytes | None], shape: InputShape, piece: Piece) -> Bools:
    """[N]: whether each file decodes; refuse images of another shape."""
    decodable = np.zeros(len(files), dtype=np.bool_)
    for row, data in enumerate(files):
        try:
            decodable[row] = shape.decode(data) is not None
        except WrongShape as error:
            raise BadData(f"{piece.file} row {piece.start + row}: {error}") from error
    return decodable


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
