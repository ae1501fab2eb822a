"""A shard: an explicit range of example ids in one immutable, content-named Parquet file."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
import pyarrow as pa

from scoring.arrays import Bools, Ints
from scoring.data.corrections import Overlaid
from scoring.data.shapes import Inputs, InputShape
from scoring.data.shard_columns import check_examples, columns_of, decode_rows
from scoring.errors import BadStore, Damaged
from scoring.store.keys import added
from scoring.store.layout import shard_path
from scoring.store.parquet import read_parquet
from scoring.store.sealed import damaged
from scoring.store.storage import Storage


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
    overlaid: tuple[Overlaid, ...] = added(())
    """Rows whose label is not the source's, by ascending id."""
    as_given: str = added("")
    """What `content` would be with the source's labels; "" if all are."""

    def __post_init__(self) -> None:
        counts = (self.first_id, self.rows, self.undecodable, self.trainable)
        if min(counts) < 0 or max(counts[2:]) > self.rows:
            raise ValueError(
                "expected a first id, rows, and how many of these are undecodable and trainable, "
                f"got {counts}"
            )

    @property
    def source_content(self) -> str:
        """Hash of the content with the source's labels."""
        return self.as_given or self.content

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


def read_shard(storage: Storage, dataset: str, record: ShardRecord, shape: InputShape) -> Shard:
    """Read and decode a shard; undecodable examples become zeros.

    Raises:
        Damaged: it is missing, or not what was written.
    """
    with expected(record.path(dataset)):
        table = read_rows(storage, dataset, record, shape)
    inputs = np.zeros((len(table), *shape.dims), dtype=shape.dtype)
    decodable = np.zeros(len(table), dtype=np.bool_)
    for i, example in enumerate(decode_rows(table, shape)):
        if example is not None:
            inputs[i], decodable[i] = example, True
    labels = table["label"].fill_null(-1).to_numpy().astype(np.int64)
    return Shard(
        ids=table["example_id"].to_numpy(), labels=labels, inputs=inputs, decodable=decodable
    )


def read_rows(storage: Storage, dataset: str, record: ShardRecord, shape: InputShape) -> pa.Table:
    """Read a whole shard, its examples as they are kept; raises what `read_parquet` raises."""
    path = record.path(dataset)
    table = read_parquet(storage, path, columns_of(shape))
    ids = np.arange(record.first_id, record.first_id + record.rows)
    if not np.array_equal(table["example_id"].to_numpy(), ids):
        raise damaged(storage, path)
    check_examples(storage, path, table, shape)
    return table


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
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise BadStore(
            f"--store: expected to read {storage.uri}/{record.path(name)}, got "
            f"{type(error).__name__}"
        ) from error
