"""CSV: one row for each example, empty fields where there is no value.

An apostrophe stands before text that a spreadsheet would run as a formula; not so in `RAW_CSV`.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow.csv as pacsv

from scoring.exports.format import Format, OnWritten
from scoring.exports.selection import Selection
from scoring.formulas import without_formulas


def write(selection: Selection, path: Path, on_written: OnWritten, *, raw: bool = False) -> int:
    """Write the rows of a selection one shard at a time."""
    with pacsv.CSVWriter(str(path), selection.schema) as writer:
        for table in selection.tables():
            writer.write_table(table if raw else without_formulas(table))
            on_written(len(table))
    return selection.rows


CSV = Format(suffix=".csv", read_with='pandas.read_csv("{path}")', write=write)
RAW_CSV = replace(CSV, write=partial(write, raw=True))
