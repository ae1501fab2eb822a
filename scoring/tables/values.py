"""Values as SQL, for views over what is in memory."""

from collections.abc import Iterable, Sequence

import pyarrow as pa

from scoring.tables.data_files import PROTOCOL
from scoring.tables.sql import TYPES, nulls, quoted


def values_sql(rows: Iterable[Sequence[object]], schema: pa.Schema) -> str:
    """Return the SQL of rows of `schema`, given as values that `literal` can write."""
    lines = ", ".join(f"({', '.join(map(literal, row))})" for row in rows)
    if not lines:
        return f"select {nulls(schema)} where false"
    typed = ", ".join(f"{field.name}::{TYPES[field.type]} as {field.name}" for field in schema)
    return f"select {typed} from (values {lines}) as rows({', '.join(schema.names)})"


def literal(value: object) -> str:
    """Write a string, an integer, None or a list of these as SQL.

    No string passes for the URI of a data file, which a view would let its query read.
    """
    if isinstance(value, str):
        return quoted(value).replace(f"{PROTOCOL}://", f"{PROTOCOL}:' || '//")
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(literal, value))}]"
    return "null" if value is None else f"{value:d}"
