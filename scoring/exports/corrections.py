"""Corrected labels, for the owner of the data and for `rescore --corrections`: CSV.

    label          name of the class to which the example was corrected, or "exclude"
    given_label    name of the class in the source; empty if it has none

Only examples whose label is not the source's have a row. An apostrophe stands before text that a
spreadsheet would run as a formula; `rescore --corrections` reads past it.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from scoring.data.correcting import EXCLUDE
from scoring.data.corrections import NO_CLASS
from scoring.data.shard_parts import read_columns
from scoring.data.shards import ShardRecord, reading
from scoring.data.versions import DatasetVersion
from scoring.exports.format import Format, OnWritten
from scoring.exports.selection import Selection
from scoring.formulas import without_formulas
from scoring.store.storage import Storage

_COLUMNS = ("split", "example_id", "name", "label", "given_label")
_SCHEMA = pa.schema(
    {name: pa.int64() if name == "example_id" else pa.string() for name in _COLUMNS}
)


def write(selection: Selection, path: Path, on_written: OnWritten) -> int:
    """Write the corrections behind a selection, shard by shard."""
    written = 0
    with pacsv.CSVWriter(str(path), _SCHEMA) as writer:
        for split in selection.splits:
            version = selection.version(split)
            for shard in sorted(version.shards, key=lambda shard: shard.first_id):
                if shard.overlaid:
                    rows = _rows(selection.snapshot.storage, version, shard)
                    writer.write_table(without_formulas(rows))
                    written += len(rows)
                on_written(shard.rows)
    return written


CORRECTIONS = Format(
    suffix="-corrections.csv", read_with='protoscore rescore --corrections "{path}"', write=write
)


def _rows(storage: Storage, version: DatasetVersion, shard: ShardRecord) -> pa.Table:
    """Return the rows of a shard whose label is not the source's."""
    with reading(storage, version.name, shard):
        names = read_columns(storage, version.name, shard, ("name",))["name"]
    ids = np.array([row.example_id for row in shard.overlaid])
    labels, given = (
        [None if c == NO_CLASS else version.classes[c] for c in column]
        for column in zip(*((row.label, row.given) for row in shard.overlaid), strict=True)
    )
    columns = {
        "split": pa.repeat(version.split, len(ids)),
        "example_id": ids,
        "name": names.take(ids - shard.first_id),
        "label": [EXCLUDE if label is None else label for label in labels],
        "given_label": given,
    }
    return pa.table(columns, schema=_SCHEMA)
