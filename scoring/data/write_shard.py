"""Writing a shard: from the rows of a piece, or of a shard that loses some."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from scoring.arrays import Bools, Ints
from scoring.data.corrections import Correction, Overlaid, overlay, within
from scoring.data.forgotten import kept_ranges
from scoring.data.images import WrongShape
from scoring.data.shapes import InputShape
from scoring.data.shard_columns import ENCODING, columns_of, decode_rows, holds_pixels
from scoring.data.shards import ShardRecord, read_rows
from scoring.data.sources import Layout, Piece, Rows, class_indices
from scoring.errors import BadData
from scoring.store.keys import digest
from scoring.store.parquet import write_parquet
from scoring.store.storage import Storage

_GROUP_ROWS = 250  # rows that must be read to get at one example


def write_shard(
    storage: Storage,
    dataset: str,
    layout: Layout,
    piece: Piece,
    rows: Rows,
    first_id: int,
    corrections: Sequence[Correction] = (),
) -> ShardRecord:
    """Check the rows of a piece and write them as a shard, with labels as corrected.

    Raises:
        BadData: a label is not a class of the training split, or an image has another shape.
    """
    labels = class_indices(rows.labels, layout, piece)
    files, encoding, decodable = _examples(rows, layout.shape, piece)
    columns = _Columns(
        first_id=first_id,
        given=labels,
        overlaid=overlay(corrections, layout, rows, labels, first_id),
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
    table = read_rows(storage, dataset, record, shape)
    made = []
    for first_id, rows in kept_ranges(record.first_id, record.rows, forgotten):
        part = table.slice(first_id - record.first_id, rows)
        overlaid = within(record.overlaid, first_id, rows)
        labels = part["label"].fill_null(-1).to_numpy().astype(np.int64)
        columns = _Columns(
            first_id=first_id,
            given=_with(labels, first_id, {row.example_id: row.given for row in overlaid}),
            overlaid=overlaid,
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
    given: Ints
    """Class indices of the source, -1 where unknown."""
    overlaid: tuple[Overlaid, ...]
    names: Sequence[str | None]
    files: list[bytes | None]
    encoding: str
    decodable: Bools
    shape: InputShape

    def write(self, storage: Storage, dataset: str) -> ShardRecord:
        instead = {row.example_id: row.label for row in self.overlaid}
        labels = _with(self.given, self.first_id, instead)
        content, as_given = self._content_hashes(labels, self.given)
        record = ShardRecord(
            content=content,
            first_id=self.first_id,
            rows=len(self.files),
            undecodable=int((~self.decodable).sum()),
            trainable=int((self.decodable & (labels >= 0)).sum()),
            overlaid=self.overlaid,
            as_given=as_given if self.overlaid else "",
        )
        if storage.exists(record.path(dataset)):
            return record
        schema = columns_of(self.shape).with_metadata({ENCODING: self.encoding.encode()})
        columns = {
            "example_id": np.arange(self.first_id, self.first_id + record.rows),
            "label": pa.array(labels, mask=labels < 0),
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

    def _content_hashes(self, *alternatives: Ints) -> list[str]:
        """Return the content hash with each of several sets of labels."""
        examples = hashlib.sha256()
        for data in self.files:
            examples.update(len(data or b"").to_bytes(8, "little"))
            examples.update(data or b"")
        rest = [list(self.names), self.encoding, self.shape, examples.hexdigest()]
        return [digest([self.first_id, labels.tolist(), *rest]) for labels in alternatives]


def _with(labels: Ints, first_id: int, instead: Mapping[int, int]) -> Ints:
    """Return labels [N] with others for some ids."""
    changed = labels.copy()
    for example_id, label in instead.items():
        changed[example_id - first_id] = label
    return changed


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


def _check_decodable(files: list[bytes | None], shape: InputShape, piece: Piece) -> Bools:
    """[N]: whether each file decodes; refuse images of another shape."""
    decodable = np.zeros(len(files), dtype=np.bool_)
    for row, data in enumerate(files):
        try:
            decodable[row] = shape.decode(data) is not None
        except WrongShape as error:
            raise BadData(f"{piece.file} row {piece.start + row}: {error}") from error
    return decodable
