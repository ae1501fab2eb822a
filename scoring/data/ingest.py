"""From a source to a dataset version: survey the pieces, allot ids, write what is new.

Ids are allotted to whole source pieces, in row order from 0. A piece keeps its range from night to
night while its row count holds; the last range may grow in place; any other change of length takes
a new range at the end. Ranges are never reused. A limit takes the first rows and moves no id.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from scoring.data.images import ImageShape
from scoring.data.shards import ShardRecord, write_shard
from scoring.data.sources import Layout, Piece, Source
from scoring.data.versions import DatasetVersion, all_versions
from scoring.errors import BadData
from scoring.keys import Split, digest, jsonable
from scoring.storage import Storage

Ranges = Mapping[str, tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class PlannedShard:
    """A piece with its ids, and its shard where an earlier night has made it."""

    split: Split
    piece: Piece
    first_id: int
    receipt: str
    """Path of the record that says this very piece was ingested."""
    record: ShardRecord | None


@dataclass(frozen=True, kw_only=True)
class Survey:
    """A split before ingest: what there is and what is missing. Made from metadata alone."""

    name: str
    split: Split
    layout: Layout
    shards: tuple[PlannedShard, ...]
    ranges: Ranges

    @property
    def rows(self) -> int:
        """Rows of the split."""
        return sum(shard.piece.rows for shard in self.shards)

    @property
    def missing(self) -> tuple[PlannedShard, ...]:
        """Pieces that no earlier night has ingested."""
        return tuple(shard for shard in self.shards if shard.record is None)


def survey(source: Source, storage: Storage, split: Split, limit: int | None) -> Survey:
    """Compare a split with what the store has; writes nothing.

    Args:
        source: where the examples are.
        storage: the store.
        split: train or test.
        limit: only the first `limit` rows of the source; None: all.

    Raises:
        BadData: the source cannot be used.
    """
    pieces = source.pieces(split)
    layout = _layout(source, storage)
    ranges = allot(pieces, [v.ranges for v in all_versions(storage, source.name, split)])
    kept = [
        (piece, _receipt(source, split, piece, ranges, layout)) for piece in _first(pieces, limit)
    ]
    there = sorted(storage.existing(path for _, path in kept))
    records = dict(zip(there, map(_parse, storage.read_all(there)), strict=True))
    shards = tuple(
        PlannedShard(
            split=split,
            piece=piece,
            first_id=ranges[piece_id(piece)][0],
            receipt=path,
            record=records.get(path),
        )
        for piece, path in kept
    )
    return Survey(name=source.name, split=split, layout=layout, shards=shards, ranges=ranges)


def ingest_piece(
    source: Source, storage: Storage, layout: Layout, planned: PlannedShard
) -> ShardRecord:
    """Read one piece, write its shard, then the receipt.

    Raises:
        BadData: labels out of range or images of another shape.
    """
    rows = source.read(planned.split, planned.piece)
    record = write_shard(storage, source.name, layout, planned.piece, rows, planned.first_id)
    storage.write(planned.receipt, json.dumps(jsonable(record)).encode())
    return record


def remember_layout(source: Source, storage: Storage, layout: Layout) -> None:
    """Spare the next night the look at labels and first images, while the files hold still."""
    storage.write(_layout_path(source), json.dumps(jsonable(layout)).encode())


def assemble(
    plan: Survey, made: Iterable[tuple[str, ShardRecord]], max_corrupt: float
) -> DatasetVersion:
    """The version of a surveyed split, once its missing pieces are made.

    Args:
        plan: the survey.
        made: (receipt, record) of the pieces ingested since.
        max_corrupt: largest share of undecodable images to accept, in [0, 1].

    Raises:
        BadData: more images are undecodable than that.
    """
    new = dict(made)
    shards = tuple(shard.record or new[shard.receipt] for shard in plan.shards)
    version = DatasetVersion(
        name=plan.name,
        split=plan.split,
        classes=plan.layout.classes,
        shape=plan.layout.shape,
        shards=shards,
        ranges=plan.ranges,
    )
    if version.undecodable > max_corrupt * version.rows:
        raise BadData(
            f"--max-corrupt: expected at most {max_corrupt:.0%} undecodable images, got "
            f"{version.undecodable} of {version.rows} in {plan.name} {plan.split}"
        )
    return version


def piece_id(piece: Piece) -> str:
    """What a piece is called from night to night."""
    return f"{piece.file}@{piece.start}"


def allot(pieces: Sequence[Piece], seen: Sequence[Ranges]) -> dict[str, tuple[int, int]]:
    """Id ranges for all pieces, given those of every earlier version (see the module's text)."""
    known: dict[str, set[tuple[int, int]]] = {}
    for ranges in seen:
        for name, (first, rows) in ranges.items():
            known.setdefault(name, set()).add((first, rows))
    free = max((first + rows for found in known.values() for first, rows in found), default=0)
    allotted = {}
    for piece in pieces:
        name = piece_id(piece)
        earlier = sorted(known.get(name, ()), reverse=True)
        same = [first for first, rows in earlier if rows == piece.rows]
        grows = [first for first, rows in earlier if first + rows == free and rows < piece.rows]
        first = (same or grows or [free])[0]
        free = max(free, first + piece.rows)
        allotted[name] = (first, piece.rows)
    vanished = {
        name: max(found, key=lambda r: r[0])
        for name, found in known.items()
        if name not in allotted
    }
    return {**vanished, **allotted}


def _first(pieces: Sequence[Piece], limit: int | None) -> list[Piece]:
    """The pieces that hold the first `limit` rows, the last one shortened."""
    if limit is None:
        return list(pieces)
    kept, left = [], limit
    for piece in pieces:
        if left <= 0:
            break
        kept.append(replace(piece, rows=min(piece.rows, left)))
        left -= piece.rows
    return kept


def _receipt(source: Source, split: Split, piece: Piece, ranges: Ranges, layout: Layout) -> str:
    key = digest([source, split, piece, ranges[piece_id(piece)][0], layout])
    return f"datasets/{source.name}/receipts/{key}.json"


def _layout(source: Source, storage: Storage) -> Layout:
    """The source's layout, remembered per state of its training files."""
    path = _layout_path(source)
    if storage.exists(path):
        raw = json.loads(storage.read(path))
        return Layout(classes=tuple(raw["classes"]), shape=ImageShape(**raw["shape"]))
    return source.layout()


def _layout_path(source: Source) -> str:
    return f"datasets/{source.name}/layouts/{digest([source, source.pieces('train')])}.json"


def _parse(data: bytes) -> ShardRecord:
    return ShardRecord(**json.loads(data))
