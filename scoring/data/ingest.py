"""Ingest: from a source to dataset versions. Survey the pieces, allot ids, write new shards.

Every ingested piece leaves a receipt that holds the record of its shard and is named by what was
read under which ids. A piece with a receipt is not read again, unless its shard is gone. A limit
takes the first rows and changes no id. Forgotten examples are left out: their piece becomes the
shards between them. Corrected labels take the place of the source's, and receipts are named by them
too.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from scoring.data.corrections import Correction, InForce, in_force, within
from scoring.data.example_ids import Ranges, allot, check_cut, piece_id
from scoring.data.forgotten import (
    certificates_of,
    forgotten_ids,
    kept_ranges,
    refuse_forgotten,
)
from scoring.data.receipts import Receipt, receipt_of
from scoring.data.shards import ShardRecord
from scoring.data.sources import Layout, Piece, Source, first_rows
from scoring.data.versions import DatasetVersion, all_versions
from scoring.data.write_shard import write_shard
from scoring.errors import BadData, Damaged
from scoring.store.keys import SPLITS, Split, digest
from scoring.store.layout import layout_path, receipts_folder, shards_folder, stem
from scoring.store.records import read_sound_records, write_record
from scoring.store.storage import Storage


@dataclass(frozen=True, kw_only=True)
class PlannedShard:
    """A piece, or a part of it, with its ids, and its shard if an earlier night made it."""

    split: Split
    piece: Piece
    first_id: int
    receipt: str
    """Path of the receipt."""
    record: ShardRecord | None
    part: tuple[int, int] | None = None
    """Rows [start, stop) of the piece, between forgotten ones; None: all."""
    whole: str = ""
    """`Receipt.whole`."""
    corrections: tuple[Correction, ...] = ()
    """Those in force for its rows."""
    plain_receipt: str = ""
    """Path that the receipt would have without corrections; "" if there are none."""
    uncorrected: ShardRecord | None = None
    """The shard with the source's labels, if there are corrections and an earlier night made it."""

    @property
    def taken(self) -> slice:
        """Rows of the piece that the shard holds."""
        return slice(*(self.part or (0, self.piece.rows)))

    @property
    def rows(self) -> int:
        """Number of rows that the shard holds."""
        start, stop = self.part or (0, self.piece.rows)
        return stop - start


@dataclass(frozen=True, kw_only=True)
class Survey:
    """A split before ingest: all of its pieces, from metadata alone."""

    name: str
    split: Split
    layout: Layout
    shards: tuple[PlannedShard, ...]
    ranges: Ranges

    @property
    def rows(self) -> int:
        """Rows of the split."""
        return sum(shard.rows for shard in self.shards)

    @property
    def missing(self) -> tuple[PlannedShard, ...]:
        """Pieces that no earlier night ingested."""
        return tuple(shard for shard in self.shards if shard.record is None)


def survey(
    source: Source,
    storage: Storage,
    limit: Callable[[Split], int | None],
    changes: Sequence[Correction] = (),
) -> dict[Split, Survey]:
    """Compare both splits with the store; writes nothing.

    Args:
        source: the examples.
        storage: the store.
        limit: returns how many of a split's first rows to take; None: all.
        changes: corrections that are to be in force besides, or instead of, those in the store.

    Raises:
        BadData: the source cannot be used.
    """
    pieces = {split: source.pieces(split) for split in SPLITS}
    layout = _layout(source, storage, pieces["train"])
    corrections = in_force(storage, source.name, changes)
    receipts = storage.names(receipts_folder(source.name))
    kept = {stem(name) for name in storage.names(shards_folder(source.name))}

    def compare(split: Split) -> Survey:
        earlier = [version.ranges for version in all_versions(storage, source.name, split)]
        check_cut(source.shard_rows, earlier)
        ranges = allot(pieces[split], earlier)
        forgotten = forgotten_ids(certificates_of(storage, source.name, split))
        wanted = [
            shard
            for piece in first_rows(pieces[split], limit(split))
            for shard in _planned(source, split, piece, ranges, layout, forgotten, corrections)
        ]
        paths = [path for s in wanted for path in (s.receipt, s.plain_receipt) if path]
        ingested = [path for path in paths if path.rpartition("/")[2] in receipts]
        found = read_sound_records(storage, ingested, ShardRecord)
        records = {path: record for path, record in found.items() if record.content in kept}
        shards = tuple(
            replace(s, record=records.get(s.receipt), uncorrected=records.get(s.plain_receipt))
            for s in wanted
        )
        return Survey(name=source.name, split=split, layout=layout, shards=shards, ranges=ranges)

    return {split: compare(split) for split in SPLITS}


def check_classes(surveys: Iterable[Survey]) -> None:
    """Refuse corrections to a class that the dataset no longer has.

    Raises:
        BadData: naming the example.
    """
    for survey in surveys:
        classes = {None, *survey.layout.classes}
        for correction in (c for shard in survey.shards for c in shard.corrections):
            if correction.label not in classes:
                raise BadData(
                    f"--corrections: expected the class {correction.label!r}, to which "
                    f"{survey.split} example {correction.example_id} was corrected, got a source "
                    "without it; give the example another label, or given, or drop all (none)"
                )


def ingest_piece(
    source: Source, storage: Storage, layout: Layout, planned: PlannedShard
) -> ShardRecord:
    """Read a piece, write its shard, then its receipt.

    Raises:
        BadData: a label is out of range, an image has another shape, or the file has changed.
    """
    rows = source.read(planned.split, planned.piece)
    if len(rows.labels) != planned.piece.rows:
        raise BadData(
            f"expected {planned.piece.rows} rows of {planned.piece.file!r} from row "
            f"{planned.piece.start}, got {len(rows.labels)}; run again"
        )
    taken = planned.taken
    piece = replace(planned.piece, start=planned.piece.start + taken.start, rows=planned.rows)
    rows = rows.part(taken)
    forgotten = certificates_of(storage, source.name, planned.split)
    refuse_forgotten(forgotten, rows, piece.file, piece.start)
    record = write_shard(
        storage, source.name, layout, piece, rows, planned.first_id, planned.corrections
    )
    receipt = Receipt(**vars(record), whole=planned.whole) if planned.whole else record
    write_record(storage, planned.receipt, receipt)
    return record


def remember_layout(source: Source, storage: Storage, layout: Layout) -> None:
    """Write the layout, so that later nights need not read labels and images of the same files."""
    write_record(storage, layout_path(source.name, layout.state), layout)


def assemble(
    plan: Survey, made: Iterable[tuple[str, ShardRecord]], max_corrupt: float
) -> DatasetVersion:
    """Build the version of a surveyed split from its shards.

    Args:
        plan: the survey.
        made: (receipt, record) of each piece ingested since.
        max_corrupt: largest share of undecodable examples to accept, in [0, 1].

    Raises:
        BadData: more examples are undecodable, or no row can be trained on.
        Damaged: a receipt was lost or damaged since it was written.
    """
    new = dict(made)
    if lost := [s.receipt for s in plan.missing if s.receipt not in new]:
        raise Damaged(
            f"--store: expected {lost[0]} as this job wrote it, got a damaged file or none; "
            "run again"
        )
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
        what = f"{100 * max_corrupt:g} % undecodable {version.shape.plural}"
        raise BadData(
            f"--max-corrupt: expected at most {what}, got {version.undecodable} of {version.rows} "
            f"in {plan.name} {plan.split}"
        )
    if plan.split == "train" and not version.trainable:
        raise BadData(
            f"expected training rows with a label and a readable example, got none in {plan.name}"
        )
    return version


def _planned(
    source: Source,
    split: Split,
    piece: Piece,
    ranges: Ranges,
    layout: Layout,
    forgotten: Sequence[int],
    corrections: InForce,
) -> list[PlannedShard]:
    """Return the shards that a piece becomes: one, or those between forgotten rows."""
    first, _ = ranges[piece_id(piece)]
    key = digest([source, split, piece, first, layout.classes, layout.shape])

    def planned(start: int, rows: int) -> PlannedShard:
        part = None if rows == piece.rows else (start, rows)
        ours = within(corrections[split], start, rows)
        plain = receipt_of(source.name, key, part)
        return PlannedShard(
            split=split,
            piece=piece,
            first_id=start,
            receipt=receipt_of(source.name, key, part, ours),
            record=None,
            part=part and (start - first, start - first + rows),
            whole=key if part or ours else "",
            corrections=ours,
            plain_receipt=plain if ours else "",
        )

    return [planned(*kept) for kept in kept_ranges(first, piece.rows, forgotten)]


def _layout(source: Source, storage: Storage, training: Sequence[Piece]) -> Layout:
    """Return the source's layout; the store remembers it for each state of the training files."""
    state = digest([source, training])
    path = layout_path(source.name, state)
    known = read_sound_records(storage, [path], Layout)
    return replace(known.get(path) or source.layout(), state=state)
