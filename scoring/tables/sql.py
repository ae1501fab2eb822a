"""SQL over Arrow data: DuckDB reads it where it lies, filters and columns pushed down."""

import re
from collections.abc import Callable, Mapping

import duckdb
import pyarrow as pa
import pyarrow.dataset as pads

from scoring.errors import UserError


def run(query: str, views: Mapping[str, Callable[[], pads.Dataset | pa.Table]]) -> pa.Table:
    """Answer a query.

    Args:
        query: DuckDB SQL; of several statements the last one answers.
        views: tables by name, each opened only if the query names it.

    Raises:
        UserError: DuckDB refuses the query, or it returns no rows by its nature.
    """
    names = [name for name in views if re.search(rf"\b{name}\b", query, re.IGNORECASE)]
    with duckdb.connect() as connection:
        # Only our views: DuckDB would otherwise find Python variables by name.
        connection.execute("set python_enable_replacements = false; set TimeZone = 'UTC'")
        for name in names:
            connection.register(name, views[name]())
        try:
            answer = connection.sql(query)
            rows = None if answer is None else answer.to_arrow_table()
        except duckdb.Error as error:
            raise UserError(
                f"query: expected SQL over {', '.join(views)}, got {_one_line(error)}"
            ) from error
    if rows is None:
        raise UserError(f"query: expected a statement that returns rows, got {query!r}")
    return rows


def _one_line(error: duckdb.Error) -> str:
    message = str(error).split("\nLINE ")[0]
    return " ".join(message.split())
