"""A search of every byte of a store for some examples."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scoring.data.forgotten import example_hash

CERTIFICATES = "forgotten"


def traces_of(store: str, examples: Mapping[int, tuple[str, bytes]]) -> list[str]:
    """List where a store still has one of some examples, outside certificates.

    Args:
        store: the store's folder.
        examples: example id to name and bytes; no other example has these ids.
    """
    names = {name for name, _ in examples.values()}
    contents = {data for _, data in examples.values()}
    hashes = {example_hash(data) for data in contents}
    found = []
    files = [path for path in Path(store).rglob("*") if path.is_file()]
    for path in files:
        place = str(path.relative_to(store))
        if place.startswith(CERTIFICATES):
            continue
        raw = path.read_bytes()
        found += [f"{place}: bytes" for data in contents if data in raw]
        found += [f"{place}: hash" for h in hashes if h.encode() in raw or bytes.fromhex(h) in raw]
        words = set(re.findall(rb"[\w./-]+", raw))
        found += [f"{place}: {name}" for name in names if name.encode() in words]
        if path.suffix == ".parquet":
            found += [f"{place}: {what}" for what in _in_table(path, examples, names, contents)]
        elif path.suffix == ".json" and "_delta_log" not in place:
            values = set(_values(json.loads(raw)))
            found += [f"{place}: {value}" for value in values & (names | hashes)]
            words = {word for value in values if isinstance(value, str) for word in value.split()}
            found += [f"{place}: id {i}" for i in examples if "--ids" in words and str(i) in words]
    return found


def _in_table(
    path: Path, examples: Mapping[int, tuple[str, bytes]], names: set[str], contents: set[bytes]
) -> Iterator[str]:
    table = pq.ParquetFile(path).read()
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name == "id" or (name.endswith("_id") and pa.types.is_integer(column.type)):
            inside = np.isin(column.to_numpy(), list(examples))
            if inside.any():
                yield f"ids in {name}"
        elif pa.types.is_string(column.type):
            words = {w for value in set(column.to_pylist()) - {None} for w in value.split()}
            yield from (f"{word} in {name}" for word in words & names)
        elif pa.types.is_binary(column.type) and contents & set(column.to_pylist()):
            yield f"bytes in {name}"


def _values(value: Any) -> Iterator[Any]:
    """Yield all strings and numbers in a JSON value."""
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _values(item)
    elif value is not None:
        yield value
