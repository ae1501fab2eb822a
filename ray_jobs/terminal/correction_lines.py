"""The file that --corrections names: a label for each line's example."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scoring.data.correcting import Mistakes, Wish
from scoring.errors import UserError
from scoring.store.keys import SPLITS

NO_CORRECTIONS = "none"
"""Instead of a file: drop all corrections."""
_FLAG = "--corrections"
_IDS = ("id", "example_id")
_MOST_MISTAKES = 20
_Line = tuple[str, Mapping[str, Any]]


def read_wishes(file: str) -> list[Wish]:
    """Read the lines of a file: CSV with a header, JSON lines or Parquet, by its suffix.

    Columns: id or example_id, or name; label; split, where an id or name is in both; others are
    ignored.

    Raises:
        UserError: it cannot be read, or has no column to find examples by, or no label.
        Mistakes: a line lacks something.
    """
    path = Path(file).expanduser()
    readers = {".csv": _csv, ".jsonl": _json, ".ndjson": _json, ".parquet": _parquet}
    read = readers.get(path.suffix.lower())
    if read is None:
        raise UserError(
            f"{_FLAG}: expected {NO_CORRECTIONS} or a file ({', '.join(readers)}), got {file!r}"
        )
    wishes, mistakes = [], []
    try:
        for where, columns in read(path):
            try:
                wishes.append(_wish(where, columns))
            except ValueError as mistake:
                mistakes.append(f"{where}: {mistake}")
    except (
        OSError,
        UnicodeDecodeError,
        csv.Error,
        json.JSONDecodeError,
        pa.ArrowException,
    ) as error:
        raise UserError(
            f"{_FLAG}: expected a readable {path.suffix} file, got {file!r} "
            f"({type(error).__name__})"
        ) from error
    if mistakes:
        raise Mistakes(mistakes[:_MOST_MISTAKES])
    return wishes


def _csv(path: Path) -> Iterator[_Line]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        _check_columns(path, reader.fieldnames or ())
        for row in reader:
            if any(isinstance(value, str) and value.strip() for value in row.values()):
                yield f"line {reader.line_num}", row


def _json(path: Path) -> Iterator[_Line]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                row = json.loads(line)
                yield f"line {number}", row if isinstance(row, dict) else {}


def _parquet(path: Path) -> Iterator[_Line]:
    table = pq.read_table(path)
    _check_columns(path, table.column_names)
    for number, row in enumerate(table.to_pylist()):
        yield f"row {number}", row


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    if "label" not in columns or not {*_IDS, "name"} & {*columns}:
        got = ", ".join(columns) or "none"
        raise UserError(f"{_FLAG}: expected the columns id or name, and label, got {got} in {path}")


def _wish(where: str, columns: Mapping[str, Any]) -> Wish:
    """Read a line; `ValueError` says what it lacks."""
    given = {name: value for name, value in columns.items() if value not in (None, "")}
    split = given.get("split")
    if split not in (None, *SPLITS):
        raise ValueError(f"expected train or test as split, got {split!r}")
    wanted = next((given[name] for name in _IDS if name in given), None)
    if wanted is None and "name" not in given:
        raise ValueError("expected an id or a name, got neither")
    if "label" not in given:
        raise ValueError("expected a label, got none")
    return Wish(
        where=where,
        label=_label(given["label"]),
        split=split,
        example_id=None if wanted is None else _id(wanted),
        name=str(given["name"]) if "name" in given else None,
    )


def _id(value: object) -> int:
    number = _whole(value)
    text = str(number if number is not None else value).strip()
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"expected an example id, got {value!r}")
    return int(text)


def _label(value: object) -> int | str:
    number = _whole(value)
    return str(value) if number is None else number


def _whole(value: object) -> int | None:
    """Return a number as a whole one; a column of numbers with gaps may have become floats."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
