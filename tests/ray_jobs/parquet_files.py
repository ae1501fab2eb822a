"""Parquet files with other contents than their readers expect."""

import io
import multiprocessing
import random
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from fuzzing import NUMBERS, VALUES

from scoring.store.checked_file import chunk_hash, chunk_ranges, footer_with_seal, read_footer
from scoring.store.sealed import DIGITS, _digest, _find

_FOOTER_MARK = b"protoscore-footer-sha256:"
_CHUNKS = 8  # hex digits of the number of chunks, after the digits of the footer's seal
_HASH = 8  # bytes for each chunk

TYPES = (
    *(pa.int8(), pa.int32(), pa.int64(), pa.uint64(), pa.float32(), pa.float64(), pa.bool_()),
    *(pa.string(), pa.large_string(), pa.binary(), pa.date32(), pa.timestamp("us", "UTC")),
    *(pa.timestamp("ns"), pa.list_(pa.float32()), pa.list_(pa.int8(), 3), pa.decimal128(38, 3)),
    *(pa.null(), pa.struct({"bytes": pa.binary()}), pa.dictionary(pa.int32(), pa.string())),
    *(
        pa.binary(4),
        pa.time64("us"),
        pa.list_(pa.list_(pa.string())),
        pa.map_(pa.string(), pa.int8()),
    ),
)


def changed_table(data: bytes, noise: random.Random) -> tuple[pa.Table, str, dict[str, Any]]:
    """Return the table of a file with one to three changes, what they are, and how to write it."""
    table = pq.read_table(io.BytesIO(data))
    made = []
    for _ in range(noise.choice([1, 1, 1, 2, 3])):
        if not table.num_columns or len({*table.column_names}) < table.num_columns:
            break
        change = noise.choice(_CHANGES)
        table, said = change(table, noise.choice(table.column_names), noise)
        made.append(said)
    options: dict[str, Any] = {"row_group_size": noise.choice([None, 1, 7, 1000])}
    return table, "; ".join(made), options


def broken_footer(data: bytes, path: str, noise: random.Random) -> bytes:
    """Change bytes of a file's footer, then seal it as if it were right.

    A footer at which Arrow aborts the process, instead of raising, is left as it was: see `aborts`.
    """
    start, footer = read_footer(io.BytesIO(data))
    changed = bytearray(footer)
    for _ in range(noise.choice([1, 2, 5])):
        at = noise.randrange(len(changed) - 8)
        changed[at] = noise.choice([noise.randrange(256), changed[at] ^ 1 << noise.randrange(8)])
    return sealed_again(data[:start], footer if aborts(bytes(changed)) else bytes(changed), path)


def aborts(footer: bytes) -> bool:
    """Whether Arrow ends the process over a footer: pyarrow lets a C++ exception escape.

    It does so for size statistics that do not fit the schema. Nobody but a forger of seals can make
    a store's file be like this, and sources are read without looking at the statistics of columns.
    """
    global _pool
    try:
        _pool.submit(_ranges_of, footer).result()
    except BrokenExecutor:
        _pool = _new_pool()
        return True
    return False


def _ranges_of(footer: bytes) -> list[tuple[int, int]]:
    with suppress(pa.ArrowException, OSError, ValueError, OverflowError):
        return list(chunk_ranges(pq.read_metadata(pa.BufferReader(footer))))
    return []


def _new_pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


_pool = _new_pool()


def sealed_again(before: bytes, footer: bytes, path: str) -> bytes:
    """Fill in both seals of a file of ours, as far as it still has room for them.

    Args:
        before: everything before the footer.
        footer: the footer, its length and magic.
        path: the file's path in the store.
    """
    if _FOOTER_MARK not in footer:
        return before + footer
    body = before[: len(before) - _HASH * _chunks(before, footer)]
    hashes = before[len(body) :]
    with suppress(ValueError, OverflowError):
        hashes = b"".join(chunk_hash(io.BytesIO(body), *chunk) for chunk in _ranges_of(footer))
    whole = body + hashes + footer_with_seal(path, hashes, footer)
    at = _find(whole)
    return whole if at < 0 else whole[:at] + _digest(path, whole, at) + whole[at + DIGITS :]


def _chunks(before: bytes, footer: bytes) -> int:
    at = footer.rfind(_FOOTER_MARK) + len(_FOOTER_MARK) + DIGITS
    with suppress(ValueError):
        return min(int(footer[at : at + _CHUNKS], 16), len(before) // _HASH)
    return 0


Changed = tuple[pa.Table, str]


def _drop(table: pa.Table, name: str, noise: random.Random) -> Changed:
    return table.drop_columns([name]), f"without {name}"


def _rename(table: pa.Table, name: str, noise: random.Random) -> Changed:
    new = noise.choice([name.upper(), "x", *table.column_names, "a\tb", 'a"b', "", name + " "])
    return table.rename_columns([new if n == name else n for n in table.column_names]), (
        f"{name} as {new!r}"
    )


def _retype(table: pa.Table, name: str, noise: random.Random) -> Changed:
    """Give a column another type, with the same values if they have that type too."""
    kind = noise.choice(TYPES)
    try:
        column = table[name].cast(kind, safe=False)
    except pa.ArrowException:
        column = values_of(kind, len(table), noise)
    return _with(table, name, column), f"{name} of type {kind}"


def _renew(table: pa.Table, name: str, noise: random.Random) -> Changed:
    """Give a column other values of its type."""
    kind = table[name].type
    return _with(table, name, values_of(kind, len(table), noise)), f"{name} with other values"


def _empty(table: pa.Table, name: str, noise: random.Random) -> Changed:
    """Put null in the place of some or all values of a column."""
    share = noise.choice([0.1, 1.0])
    nulls = pa.array([noise.random() < share for _ in range(len(table))], pa.bool_())
    nothing = pa.nulls(len(table), table[name].type)
    column = pa.chunked_array([pa.array(table[name].to_pylist(), table[name].type)])
    picked = [
        None if null else v for null, v in zip(nulls.to_pylist(), column.to_pylist(), strict=True)
    ]
    return _with(table, name, pa.array(picked, nothing.type)), f"nulls in {name}"


def _cut(table: pa.Table, name: str, noise: random.Random) -> Changed:
    rows = noise.choice([0, 1, len(table) // 2, len(table) - 1])
    return table.slice(noise.choice([0, 1]), rows), f"{rows} rows"


def _double(table: pa.Table, name: str, noise: random.Random) -> Changed:
    return pa.concat_tables([table, table]), "all rows twice"


def _shuffle(table: pa.Table, name: str, noise: random.Random) -> Changed:
    return table.take(pa.array(noise.sample(range(len(table)), len(table)), pa.int64())), "shuffled"


def _describe(table: pa.Table, name: str, noise: random.Random) -> Changed:
    """Change the metadata of the schema."""
    before = table.schema.metadata or {}
    names = [*before, b"encoding", b"scored_at", b"pandas"]
    text = noise.choice([v for v in VALUES if v.isprintable()]).encode()
    found = noise.choice([None, {**before, noise.choice(names): text}])
    return table.replace_schema_metadata(found), f"metadata {found}"


def _reverse(table: pa.Table, name: str, noise: random.Random) -> Changed:
    return table.select(table.column_names[::-1]), "columns reversed"


def _add(table: pa.Table, name: str, noise: random.Random) -> Changed:
    new = noise.choice(["x", name, "dataset", "rank", "__index_level_0__"])
    kind = noise.choice(TYPES)
    return table.append_column(new, values_of(kind, len(table), noise)), f"column {new} of {kind}"


def _with(table: pa.Table, name: str, column: Any) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, column)


def values_of(kind: pa.DataType, rows: int, noise: random.Random) -> pa.Array:
    """Return values of a type, extreme ones among them; nulls if none can be made."""
    texts = [v for v in VALUES if v.isprintable()]
    pools: list[list[Any]] = [
        [noise.choice(NUMBERS) for _ in range(rows)],
        [noise.choice([0, 1, 2, -1, 100]) for _ in range(rows)],
        [noise.choice(texts) for _ in range(rows)],
        [noise.choice(texts).encode()[:4].ljust(4) for _ in range(rows)],
        [[noise.choice([0.0, 1.0]) for _ in range(3)] for _ in range(rows)],
        [[noise.choice(texts)] for _ in range(rows)],
        [[[noise.choice(texts)]] for _ in range(rows)],
        [{"bytes": noise.choice([b"", b"x", None])} for _ in range(rows)],
        [noise.random() < 0.5 for _ in range(rows)],
    ]
    noise.shuffle(pools)
    for pool in pools:
        with suppress(pa.ArrowException, TypeError, ValueError, OverflowError):
            return pa.array(pool, kind)
    return pa.nulls(rows, kind)


_CHANGES: tuple[Callable[[pa.Table, str, random.Random], Changed], ...] = (
    *(_drop, _rename, _retype, _retype, _renew, _renew, _empty, _cut, _double, _shuffle),
    *(_describe, _reverse, _add),
)
