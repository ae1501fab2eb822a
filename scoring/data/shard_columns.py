"""The columns of a shard, and what its rows hold."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scoring.data.shapes import Inputs, InputShape
from scoring.store.sealed import damaged
from scoring.store.storage import Storage

COLUMNS = pa.schema(
    [
        pa.field("example_id", pa.int64(), nullable=False),
        pa.field("label", pa.int32()),
        pa.field("name", pa.string()),
    ]
)
"""Columns of every shard; one more holds the examples."""
ENCODING = b"encoding"
"""Name of the metadata entry that says how the examples are encoded: `raw` pixels, or `file`."""
_ENCODINGS = (b"raw", b"file")


def columns_of(shape: InputShape) -> pa.Schema:
    """Return the columns of a shard, examples included."""
    return COLUMNS.append(pa.field(shape.column, pa.binary()))


def check_examples(storage: Storage, path: str, rows: pa.Table, shape: InputShape) -> None:
    """Refuse rows of a shard with pixels that are not those of whole images.

    Raises:
        Damaged: there are such rows.
    """
    encoding = (rows.schema.metadata or {}).get(ENCODING)
    if encoding not in _ENCODINGS:
        raise damaged(storage, path)
    if encoding == b"raw":
        sizes = pc.binary_length(rows[shape.column]).fill_null(-1)
        if len(sizes) and pc.any(pc.not_equal(sizes, shape.nbytes)).as_py():
            raise damaged(storage, path)


def holds_pixels(table: pa.Table) -> bool:
    """Whether the examples are raw pixels rather than files."""
    return bool(table.schema.metadata[ENCODING] == b"raw")


def decode_rows(table: pa.Table, shape: InputShape) -> Iterator[Inputs | None]:
    """Decode the examples of a shard's rows one by one; None where undecodable."""
    raw = holds_pixels(table)
    for scalar in table[shape.column]:
        data = scalar.as_py()
        yield np.frombuffer(data, np.uint8).reshape(shape.dims) if raw else shape.decode(data)
