"""Forgotten examples: certificates of what was removed from a store and must never come back."""

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

import numpy as np
import pyarrow as pa

from scoring.data.sources import Rows
from scoring.errors import BadData, Damaged
from scoring.store.keys import Split
from scoring.store.layout import FORGOTTEN, certificate_path
from scoring.store.parallel import in_parallel
from scoring.store.parquet import opened_parquet
from scoring.store.records import read_either, write_twice
from scoring.store.storage import Storage


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """Examples of one split that were forgotten. The fields are the keys of its JSON."""

    id: str
    dataset: str
    split: Split
    ids: tuple[int, ...]
    """Example ids, ascending."""
    names: tuple[str, ...]
    """The user's own names for them, sorted."""
    hashes: tuple[str, ...]
    """`example_hash` of each, sorted."""
    shards: tuple[str, ...]
    """Content hashes of the shards that held them."""
    began_at: str
    """ISO 8601 in UTC, as is `ended_at`."""
    ended_at: str = ""
    """Empty until everything is removed."""
    data_files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Table to the data files that held them, paths in the table."""
    removed: Mapping[str, int] = field(default_factory=dict)
    """Top folder to the number of files removed or rewritten."""
    models: tuple[str, ...] = ()
    """Runs that were trained on them."""
    remaining: tuple[str, ...] = ()
    """What could not be removed, a line each."""

    @property
    def day(self) -> str:
        """The day it was begun."""
        return self.began_at[:10]

    def save(self, storage: Storage) -> None:
        """Write the certificate, and a copy: nothing could make it again."""
        write_twice(storage, certificate_path(self.id), self)


def certificates(storage: Storage) -> list[Certificate]:
    """Read all certificates, oldest first.

    Raises:
        Damaged: one of them, and its copy, is not what was written.
    """
    ids = sorted({name.partition(".")[0] for name in storage.names(FORGOTTEN)} - {""})
    paths = [certificate_path(id_) for id_ in ids]
    return list(in_parallel(partial(read_either, storage, kind=Certificate), paths))


def certificates_of(storage: Storage, dataset: str, split: Split) -> list[Certificate]:
    """Read the certificates of one split, oldest first."""
    return [c for c in certificates(storage) if (c.dataset, c.split) == (dataset, split)]


def forgotten_ids(found: Iterable[Certificate]) -> list[int]:
    """Return all forgotten ids, ascending."""
    return sorted({example for certificate in found for example in certificate.ids})


def kept_ranges(first: int, rows: int, forgotten: Sequence[int]) -> list[tuple[int, int]]:
    """Return the ranges (first id, rows) that are left of [first, first + rows).

    Args:
        first: an example id.
        rows: ids of the range.
        forgotten: forgotten ids, ascending; others may be among them.
    """
    begin, end = bisect_left(forgotten, first), bisect_left(forgotten, first + rows)
    edges = [first - 1, *forgotten[begin:end], first + rows]
    return [(low + 1, high - low - 1) for low, high in pairwise(edges) if high - low > 1]


def example_hash(data: bytes) -> str:
    """Return the SHA-256 of an example's bytes, as a shard holds them: 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def holds_ids(storage: Storage, path: str, columns: Sequence[str], ids: Sequence[int]) -> bool:
    """Return whether a Parquet file holds one of some ids; a damaged one has been set aside."""
    try:
        wanted = pa.schema([pa.field(column, pa.int64()) for column in columns])
        with opened_parquet(storage, path, wanted) as file:
            rows = file.read(list(columns))
    except Damaged:
        return False
    return any(bool(np.isin(rows[column].to_numpy(), ids).any()) for column in columns)


def refuse_forgotten(found: Sequence[Certificate], rows: Rows, file: str, start: int) -> None:
    """Refuse a forgotten example that comes back under another id, because its file has changed.

    Args:
        found: the certificates of the split.
        rows: what is about to be ingested.
        file: where it comes from, and the row that it begins with, for the error message.
        start: that row.

    Raises:
        BadData: it is among the rows.
    """
    days = {hash_: certificate.day for certificate in found for hash_ in certificate.hashes}
    if not days:
        return
    examples = rows.encoded if rows.pixels is None else [image.tobytes() for image in rows.pixels]
    for row, data in enumerate(examples or (), start=start):
        if data and (day := days.get(example_hash(data))):
            raise BadData(
                f"{file} row {row}: expected no forgotten example, got one that was forgotten on "
                f"{day}; remove it from the source"
            )
