"""Tables as people and programs want them: aligned text, CSV, JSON or Parquet."""

import io
import json
import math
import shutil
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from scoring.errors import UserError
from scoring.store.whole_files import written_whole

Format = Literal["table", "csv", "json", "parquet"]
_BY_SUFFIX: dict[str, Format] = {".csv": "csv", ".json": "json", ".parquet": "parquet"}
_NUMBERS = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
_SHOWN_ROWS = 200


def show(table: pa.Table, style: Format | None, output: str) -> None:
    """Write a table to a file or standard output.

    Args:
        table: what to write.
        style: None: what the suffix of `output` says, else aligned text.
        output: a local file; "" is standard output.

    Raises:
        UserError: Parquet without a file to go to, or a file that cannot be written.
    """
    if style is None:
        style = _BY_SUFFIX.get(Path(output).suffix, "table")
    if style == "parquet" and not output:
        raise UserError("--format parquet: expected --output FILE, got none")
    data = _encode(table, style, width=None if output else _terminal_width())
    if not output:
        sys.stdout.write(data.decode())
        return
    try:
        Path(output).write_bytes(data)
    except OSError as error:
        raise UserError(
            f"--output: expected a file that can be written, got {output!r} ({error.strerror})"
        ) from error
    print(f"{len(table)} rows to {output}", file=sys.stderr)


def write_whole(path: Path, data: bytes, flag: str) -> None:
    """Write a file so that it appears whole or not at all.

    Raises:
        UserError: it cannot be written, naming the flag.
    """
    with written_whole(path, flag) as partial:
        partial.write_bytes(data)


def _encode(table: pa.Table, style: Format, width: int | None) -> bytes:
    if style == "table":
        return as_text(table, width).encode()
    if style == "json":
        plain = _times_as_text(table, "us").to_pylist()
        rows = ({name: _json(value) for name, value in row.items()} for row in plain)
        lines = ",\n".join(json.dumps(row, ensure_ascii=False, default=str) for row in rows)
        return f"[{lines}]\n".encode()
    sink = io.BytesIO()
    if style == "csv":
        pacsv.write_csv(_without_lists(table), sink)
    else:
        pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def as_text(table: pa.Table, width: int | None = None) -> str:
    """A table in aligned columns, or row by row where it is wider than `width` characters."""
    shown = _times_as_text(table.slice(0, _SHOWN_ROWS), "s")
    columns = [[_cell(value) for value in column.to_pylist()] for column in shown.columns]
    named = zip(table.column_names, columns, strict=True)
    widths = [max(map(len, [name, *cells])) for name, cells in named]
    if width is not None and sum(widths) + 2 * len(widths) > width:
        text = _records(table.column_names, columns)
    else:
        text = _grid(table.schema, columns, widths)
    hidden = f", the first {len(shown)} shown; csv, json and parquet hold all"
    rows = "row" if len(table) == 1 else "rows"
    return f"{text}({len(table)} {rows}{hidden if len(shown) < len(table) else ''})\n"


def _grid(schema: pa.Schema, columns: Sequence[Sequence[str]], widths: Sequence[int]) -> str:
    right = [any(is_kind(field.type) for is_kind in _NUMBERS) for field in schema]
    header = [schema.names, ["-" * size for size in widths]]
    lines = [
        "  ".join(
            cell.rjust(size) if numeric else cell.ljust(size)
            for cell, size, numeric in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in [*header, *zip(*columns, strict=True)]
    ]
    return "".join(f"{line}\n" for line in lines)


def _records(names: Sequence[str], columns: Sequence[Sequence[str]]) -> str:
    size = max(map(len, names))
    blocks = [
        "".join(f"{name.ljust(size)}  {cell}\n" for name, cell in zip(names, row, strict=True))
        for row in zip(*columns, strict=True)
    ]
    return "".join(f"{block}\n" for block in blocks)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return " ".join(_cell(item) for item in value)
    return str(value)


def _json(value: object) -> object:
    """JSON has no NaN, and sums of integers arrive as decimals."""
    if isinstance(value, Decimal):
        return int(value) if value == int(value) else float(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _times_as_text(table: pa.Table, unit: Literal["s", "us"]) -> pa.Table:
    """As 2026-03-31 06:00:00Z. Python's own times would have pyarrow import pandas: a second."""
    for i, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            times = table.column(i).cast(pa.timestamp(unit, field.type.tz), safe=False)
            table = table.set_column(i, field.name, times.cast(pa.string()))
    return table


def _without_lists(table: pa.Table) -> pa.Table:
    """CSV has no lists: they become words with spaces between."""
    for i, field in enumerate(table.schema):
        if pa.types.is_list(field.type):
            words = table.column(i).cast(pa.list_(pa.string()))
            table = table.set_column(i, field.name, pc.binary_join(words, " "))
    return table


def _terminal_width() -> int | None:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
