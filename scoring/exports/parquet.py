"""Parquet: one row an example, null where there is no value."""

from pathlib import Path

import pyarrow.parquet as pq

from scoring.exports.format import Done, Format
from scoring.exports.selection import Selection


def write(selection: Selection, path: Path, done: Done) -> int:
    """Write the rows of a selection, a shard a row group."""
    with pq.ParquetWriter(path, selection.schema, compression="zstd") as writer:
        for table in selection.tables():
            writer.write_table(table)
            done(len(table))
    return selection.rows


PARQUET = Format(ending=".parquet", read_with='pandas.read_parquet("{path}")', write=write)
