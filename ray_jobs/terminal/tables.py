"""Tables for people and programs: aligned text, CSV, JSON or Parquet."""

import io
import json
import math
import shutil
import sys
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import tabulate

from ray_jobs.terminal.say import note
from scoring.errors import UserError
from scoring.formulas import without_formulas
from scoring.printable import printable, printable_lines
from scoring.store.whole_files import refused, written_whole

Format = Literal["table", "csv", "json", "parquet"]
_BY_SUFFIX: dict[str, Format] = {".csv": "csv", ".json": "json", ".parquet": "parquet"}
_NUMBERS = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
_SHOWN_ROWS = 200

tabulate.MIN_PADDING = 0  # else columns are two wider than their names
_aligned = partial(tabulate.tabulate, disable_numparse=True, preserve_whitespace=True)


def show(
    table: pa.Table,
    style: Format | None,
    output: str,
    *,
    raw_csv: bool = False,
    caption: str = "",
) -> None:
    """Write a table to a file or standard output.

    Args:
        table: the rows to write.
        style: None: by the suffix of `output`, else aligned text.
        output: a local file; "" is standard output.
        raw_csv: in CSV, write text that looks like a formula as it is.
        caption: what to say of the rows below aligned text.

    Raises:
        UserError: Parquet without a file, `raw_csv` without CSV, or a file that cannot be written.
        Outage: the disk is full or fails.
    """
    if style is None:
        style = _BY_SUFFIX.get(Path(output).suffix, "table")
    if raw_csv and style != "csv":
        raise UserError(f"--raw-csv: expected it with --format csv, got {style}")
    if style == "parquet" and not output:
        raise UserError("--format parquet: expected --output FILE, got none")
    if style == "csv":
        table = _without_lists(table)
        table = table if raw_csv else without_formulas(table)
    data = _encode(table, style, None if output else _terminal_width(), caption)
    if not output:
        text = data.decode()
        sys.stdout.write(printable_lines(text) if sys.stdout.isatty() else text)
        return
    try:
        Path(output).write_bytes(data)
    except OSError as error:
        raise refused(error, "--output", "file", output) from error
    note(f"{len(table)} rows to {output}")


def write_whole(path: Path, data: bytes, flag: str) -> None:
    """Write a file so that it appears whole or not at all.

    Raises:
        UserError: it cannot be written, naming the flag.
    """
    with written_whole(path, flag) as unfinished:
        unfinished.write_bytes(data)


def as_text(table: pa.Table, width: int | None = None, caption: str = "") -> str:
    """Return a table in aligned columns, or row by row if it is wider than `width` characters.

    The last line says how many rows there are, and the caption.
    """
    shown = _times_as_text(table.slice(0, _SHOWN_ROWS), "s")
    names = [printable(name) for name in shown.column_names]
    rows = list(zip(*(map(_cell, column.to_pylist()) for column in shown.columns), strict=True))
    numeric = [any(is_kind(field.type) for is_kind in _NUMBERS) for field in shown.schema]
    align = ["right" if number else "left" for number in numeric]
    lines = _aligned(rows, headers=names, colalign=align, tablefmt="simple").splitlines()
    if width is not None and max(map(len, lines)) > width:
        records = (_aligned(zip(names, row, strict=True), tablefmt="plain") for row in rows)
        lines = [f"{record}\n" for record in records]
    count = f"{len(table)} {'row' if len(table) == 1 else 'rows'}"
    if len(shown) < len(table):
        count += f", the first {len(shown)} shown; csv, json and parquet hold all"
    return "\n".join([*lines, f"({count}{caption and f'; {caption}'})\n"])


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:.6g}"
    if isinstance(value, list):
        return " ".join(map(_cell, value))
    return printable(str(value))


def _encode(table: pa.Table, style: Format, width: int | None, caption: str) -> bytes:
    if style == "table":
        return as_text(table, width, caption).encode()
    if style == "json":
        plain = _times_as_text(table, "us").to_pylist()
        rows = ({name: _json(value) for name, value in row.items()} for row in plain)
        lines = ",\n".join(json.dumps(row, ensure_ascii=False, default=str) for row in rows)
        return f"[{lines}]\n".encode()
    sink = io.BytesIO()
    if style == "csv":
        pacsv.write_csv(table, sink)
    else:
        pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def _json(value: object) -> object:
    """Replace what JSON lacks: NaN by null, a decimal (DuckDB's sum of integers) by a number."""
    if isinstance(value, Decimal):
        return int(value) if value == int(value) else float(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _times_as_text(table: pa.Table, unit: Literal["s", "us"]) -> pa.Table:
    """Write times as 2026-03-31 06:00:00Z; as Python's times, pyarrow would import pandas: 1 s."""
    for i, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            times = table.column(i).cast(pa.timestamp(unit, field.type.tz), safe=False)
            table = table.set_column(i, field.name, times.cast(pa.string()))
    return table


def _without_lists(table: pa.Table) -> pa.Table:
    """Join lists into words separated by spaces, since CSV has no lists."""
    for i, field in enumerate(table.schema):
        if pa.types.is_list(field.type):
            words = table.column(i).cast(pa.list_(pa.string()))
            table = table.set_column(i, field.name, pc.binary_join(words, " "))
    return table


def _terminal_width() -> int | None:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
