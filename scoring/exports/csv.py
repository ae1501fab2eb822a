"""CSV: one row for each example, empty fields where there is no value."""

from pathlib import Path

import pyarrow.csv as pacsv

from scoring.exports.format import Format, OnWritten
from scoring.exports.selection import Selection


def write(selection: Selection, path: Path, on_written: OnWritten) -> int:
    """Write the rows of a selection one shard at a time."""
    with pacsv.CSVWriter(str(path), selection.schema) as writer:
        for table in selection.tables():
            writer.write_table(table)
            on_written(len(table))
    return selection.rows


CSV = Format(suffix=".csv", read_with='pandas.read_csv("{path}")', write=write)
