"""A few examples of a dataset version by their ids, wherever their shards are."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from scoring.arrays import Ints
from scoring.data.forgotten import example_hash
from scoring.data.images import ImageShape, Pixels
from scoring.data.shard_parts import read_images, read_rows, read_texts
from scoring.data.shards import ShardRecord, reading
from scoring.data.texts import TextShape
from scoring.data.versions import DatasetVersion
from scoring.store.parallel import in_parallel
from scoring.store.storage import Storage


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What tells an example from others."""

    name: str | None
    """The user's own name for it."""
    example: str
    """`example_hash`."""


def some_images(storage: Storage, data: DatasetVersion, ids: Collection[int]) -> dict[int, Pixels]:
    """Decode some images, [H, W, D] uint8 by id; undecodable and unknown ones are left out."""
    shape = data.shape
    assert isinstance(shape, ImageShape)

    def read(part: tuple[ShardRecord, Ints]) -> dict[int, Pixels]:
        with reading(storage, data.name, part[0]):
            return read_images(storage, data.name, part[0], shape, part[1])

    found = in_parallel(read, _parts(data, ids))
    return {i: pixels for images in found for i, pixels in images.items()}


def some_texts(storage: Storage, data: DatasetVersion, ids: Collection[int]) -> dict[int, str]:
    """Read some texts by id; unknown ones are left out."""
    shape = data.shape
    assert isinstance(shape, TextShape)

    def read(part: tuple[ShardRecord, Ints]) -> dict[int, str]:
        with reading(storage, data.name, part[0]):
            return read_texts(storage, data.name, part[0], shape, part[1])

    found = in_parallel(read, _parts(data, ids))
    return {i: text for texts in found for i, text in texts.items()}


def some_identities(
    storage: Storage, data: DatasetVersion, ids: Collection[int]
) -> dict[int, Identity]:
    """Read names and hashes of some examples by id; unknown ones are left out."""
    column = data.shape.column

    def read(part: tuple[ShardRecord, Ints]) -> dict[int, Identity]:
        with reading(storage, data.name, part[0]):
            rows = read_rows(storage, data.name, part[0], data.shape, part[1], ["name"])
        return {
            row["example_id"]: Identity(name=row["name"], example=example_hash(row[column] or b""))
            for row in rows.to_pylist()
        }

    found = in_parallel(read, _parts(data, ids))
    return {i: identity for some in found for i, identity in some.items()}


def _parts(data: DatasetVersion, ids: Collection[int]) -> list[tuple[ShardRecord, Ints]]:
    """Return the shards that hold some ids, each with those that it holds."""
    wanted = np.array(sorted({*ids}), dtype=np.int64)
    parts = []
    for shard in data.shards:
        first, end = np.searchsorted(wanted, [shard.first_id, shard.first_id + shard.rows])
        if first < end:
            parts.append((shard, wanted[first:end]))
    return parts
