"""Comma-separated values: one row an example, empty where there is no value."""

from pathlib import Path

import pyarrow.csv as pacsv

from scoring.exports.format import Done, Format
from scoring.exports.selection import Selection


def write(selection: Selection, path: Path, done: Done) -> int:
    """Write the rows of a selection, a shard at a time."""
    with pacsv.CSVWriter(str(path), selection.schema) as writer:
        for table in selection.tables():
            writer.write_table(table)
            done(len(table))
    return selection.rows


CSV = Format(ending=".csv", read_with='pandas.read_csv("{path}")', write=write)
