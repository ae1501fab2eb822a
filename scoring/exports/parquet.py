"""Parquet: one row for each example, null where there is no value."""

from pathlib import Path

import pyarrow.parquet as pq

from scoring.exports.format import Format, OnWritten
from scoring.exports.selection import Selection


def write(selection: Selection, path: Path, on_written: OnWritten) -> int:
    """Write the rows of a selection, one row group for each shard."""
    with pq.ParquetWriter(path, selection.schema, compression="zstd") as writer:
        for table in selection.tables():
            writer.write_table(table)
            on_written(len(table))
    return selection.rows


PARQUET = Format(suffix=".parquet", read_with='pandas.read_parquet("{path}")', write=write)
