"""The tally of a run, `runs/<key>/epochs.parquet`: what it added up of examples over its epochs.

`scoring.runs.tallying` says what that is. Rows are in the order of their ids, so a reader of one
shard opens only the row groups with its ids. The label is that of the training: an example whose
label has changed since is looked up in vain, as are those that came later.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from scoring.arrays import Bools, Floats32, Ints
from scoring.data.forgotten import holds_ids
from scoring.errors import Damaged
from scoring.runs.record import RunRecord
from scoring.store.keys import Split
from scoring.store.layout import run_path, tally_path
from scoring.store.parallel import in_parallel
from scoring.store.parquet import opened_parquet, read_parquet, write_parquet
from scoring.store.records import read_sound_records
from scoring.store.sealed import damaged, vouched_for
from scoring.store.storage import Storage
from scoring.tally import Tally

_ID = "example_id"
_ALL = "probabilities"
_SCHEMA = pa.schema(
    [
        pa.field(_ID, pa.int64(), nullable=False),
        pa.field("label", pa.int64(), nullable=False),
        pa.field("seen", pa.bool_(), nullable=False),
        pa.field("epochs", pa.int32(), nullable=False),
        pa.field("probability", pa.float32()),
        pa.field("margin", pa.float32()),
        pa.field("wrong_since", pa.float32()),
        pa.field(_ALL, pa.list_(pa.float16())),
    ]
)
_COLUMNS = ("probability", "margin", "wrong_since")
_GROUP_ROWS = 1 << 14
_READ = (_ID, "label", *_COLUMNS, _ALL)
_REPEATED = ["label", "seen", "epochs", "wrong_since"]


@dataclass(frozen=True, kw_only=True)
class TallyRows:
    """The tally of N examples, as a run writes it."""

    ids: Ints
    """[N], ascending."""
    labels: Ints
    """[N] the class under which the run knew them."""
    seen: Bools
    """[N] whether the run trained on them."""
    epochs: int
    """How many it looked at."""
    columns: Mapping[str, Floats32]
    """[N] each, by their names in `Tally`; a run keeps only some of them."""
    of_unseen: Floats32 | None = None
    """[U, C] mean probabilities of the U rows that the run did not train on, if it keeps them."""


def write_tally(storage: Storage, run: str, rows: TallyRows) -> None:
    """Write a run's tally, which the run's record then vouches for."""
    count = len(rows.ids)
    table = pa.table(
        {
            _ID: rows.ids,
            "label": rows.labels,
            "seen": rows.seen,
            "epochs": np.full(count, rows.epochs),
            **{name: rows.columns.get(name, pa.nulls(count, pa.float32())) for name in _COLUMNS},
            _ALL: _lists(rows),
        },
        schema=_SCHEMA,
    )
    _write(storage, tally_path(run), table)


def read_tally(storage: Storage, record: RunRecord, ids: Ints, labels: Ints) -> Tally:
    """Read what a run, which kept a tally, added up of some examples of the tallied split.

    Args:
        storage: the store.
        record: the run.
        ids: [N] example ids.
        labels: [N] their labels now, -1 where unknown.

    Raises:
        Damaged: the file is missing, or not what was written; the record is set aside with it.
    """
    path = tally_path(record.key)
    with (
        vouched_for(storage, path, run_path(record.key)),
        opened_parquet(storage, path, _SCHEMA) as file,
    ):
        table = file.read_row_groups([*_groups(file.metadata, ids)], [*_READ])
        lengths = pc.min_max(pc.list_value_length(table[_ALL]))
        if table[_ID].null_count or table["label"].null_count or lengths["min"] != lengths["max"]:
            raise damaged(storage, path)
    held, held_labels = table[_ID].to_numpy(), table["label"].to_numpy()
    at = np.searchsorted(held, ids)
    at[at == len(held)] = 0
    known = np.zeros(len(ids), dtype=bool)
    if len(held):
        known = (held[at] == ids) & (held_labels[at] == labels)

    def column(name: str) -> Floats32:
        found = np.full(len(ids), np.nan, dtype=np.float32)
        found[known] = table[name].to_numpy()[at[known]]
        return found

    return Tally(
        **{name: column(name) for name in _COLUMNS},
        probabilities=_matrix(table[_ALL].combine_chunks(), known, at),
    )


def tallies_with(
    storage: Storage, runs: Sequence[str], split: Split, ids: Sequence[int]
) -> list[str]:
    """Return the paths of the tallies of some runs that hold one of some examples of a split."""
    paths = [run_path(run) for run in runs]
    records = read_sound_records(storage, paths, RunRecord).values()
    files = [tally_path(r.key) for r in records if r.tallied and r.spec.tallies == split]

    def check(path: str) -> tuple[str, bool]:
        try:
            return path, holds_ids(storage, path, [_ID], ids)
        except FileNotFoundError:  # its record will be set aside where it is read
            return path, False

    return [path for path, holds in in_parallel(check, files) if holds]


def strike_from_tallies(storage: Storage, paths: Sequence[str], ids: Sequence[int]) -> None:
    """Take examples out of tallies."""
    for path in paths:
        try:
            table = read_parquet(storage, path, _SCHEMA)
        except Damaged:  # it has been set aside
            continue
        kept = ~np.isin(table[_ID].to_numpy(), ids)
        _write(storage, path, table.filter(pa.array(kept)))


def _lists(rows: TallyRows) -> pa.Array:
    """Return the probabilities of rows that were not seen, null elsewhere."""
    if rows.of_unseen is None:
        return pa.nulls(len(rows.ids), _SCHEMA.field(_ALL).type)
    unseen = np.where(rows.seen, 0, rows.of_unseen.shape[1])
    offsets = pa.array(np.append(0, np.cumsum(unseen)), pa.int32())
    values = pa.array(rows.of_unseen.ravel().astype(np.float16))
    return pa.ListArray.from_arrays(offsets, values, mask=pa.array(rows.seen))


def _matrix(lists: pa.ListArray, known: Bools, at: Ints) -> Floats32 | None:
    """Return lists as rows [N, C], NaN where there is none; None if there are none at all."""
    width = pc.max(lists.value_lengths()).as_py()
    if width is None:
        return None
    held = np.full((len(lists), width), np.nan, dtype=np.float32)
    held[lists.is_valid().to_numpy(zero_copy_only=False)] = (
        lists.flatten().to_numpy().reshape(-1, width)
    )
    found = np.full((len(known), width), np.nan, dtype=np.float32)
    found[known] = held[at[known]]
    return found


def _write(storage: Storage, path: str, table: pa.Table) -> None:
    write_parquet(storage, path, table, _GROUP_ROWS, use_dictionary=_REPEATED)


def _groups(metadata: pq.FileMetaData, ids: Ints) -> Iterator[int]:
    """Yield the row groups that may hold some of the ids."""
    if not len(ids):
        return
    first, last = ids.min(), ids.max()
    paths = [metadata.schema.column(column).path for column in range(metadata.num_columns)]
    for group in range(metadata.num_row_groups):
        found = metadata.row_group(group).column(paths.index(_ID)).statistics
        if not found or not found.has_min_max or (found.min <= last and first <= found.max):
            yield group
