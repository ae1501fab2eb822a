"""SQL over data files: DuckDB reads them in place, and only the columns and rows it needs.

Files are opened by `scoring.store`, also on S3, so no DuckDB extension is needed.
"""

import re
from collections.abc import Callable, Mapping, Sequence

import duckdb
import pyarrow as pa

from scoring.errors import BadStore, UserError
from scoring.store.storage import Storage, filesystem

_TYPES = {
    pa.string(): "varchar",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.float64(): "double",
    pa.bool_(): "boolean",
    pa.date32(): "date",
    pa.timestamp("us", tz="UTC"): "timestamptz",
    pa.list_(pa.string()): "varchar[]",
}


def run(storage: Storage, query: str, views: Mapping[str, Callable[[], str]]) -> pa.Table:
    """Answer a query.

    Args:
        storage: the store with the files of the views.
        query: DuckDB SQL; if there are several statements, the last one answers.
        views: name to a function that returns the view's SQL, called only if the query mentions the
            name; a view may use those before it.

    Raises:
        UserError: DuckDB rejects the query, or it is no statement that returns rows.
        BadStore: a file cannot be read.
    """
    with duckdb.connect() as connection:
        # Only our views: otherwise DuckDB would also find Python variables by name.
        connection.execute("set python_enable_replacements = false; set TimeZone = 'UTC'")
        if "://" in storage.uri:
            connection.register_filesystem(filesystem(storage.uri)[0])
        try:
            for name, definition in views.items():
                if re.search(rf"\b{name}\b", query, re.IGNORECASE):
                    connection.execute(f"create view {name} as {definition()}")
            answer = connection.sql(query)
            rows = None if answer is None else answer.to_arrow_table()
        except (duckdb.IOException, OSError) as error:
            raise BadStore(f"expected files that can be read, got {_one_line(error)}") from error
        except duckdb.Error as error:
            raise UserError(
                f"query: expected SQL over {', '.join(views)}, got {_one_line(error)}"
            ) from error
    if rows is None:
        raise UserError(f"query: expected a statement that returns rows, got {query!r}")
    return rows.rename_columns(_distinct(rows.column_names))


def files_sql(uris: Sequence[str], schema: pa.Schema, partition_columns: Sequence[str] = ()) -> str:
    """Return the SQL that reads data files.

    Args:
        uris: the files; may be empty.
        schema: the columns, in order.
        partition_columns: those of them that are in the path as `column=value`; they come first.
    """
    if not uris:
        nulls = ", ".join(f"null::{_TYPES[field.type]} as {field.name}" for field in schema)
        return f"select {nulls} where false"
    # Match at the end of the path: the store itself may be below a folder like split=test.
    folders = "".join(f"/{column}=([^/]*)" for column in partition_columns)
    columns = [
        f"url_decode(regexp_extract(filename, '{folders}/[^/]*$', {group})) as {column}"
        for group, column in enumerate(partition_columns, start=1)
    ]
    columns += [name for name in schema.names if name not in partition_columns]
    files = ", ".join(map(quoted, uris))
    return f"select {', '.join(columns)} from read_parquet([{files}], hive_partitioning = false)"


def quoted(text: str) -> str:
    """Quote a string as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def _distinct(names: Sequence[str]) -> list[str]:
    """Make column names unique after a join: a second `name` becomes `name_1`."""
    before = [names[:i].count(name) for i, name in enumerate(names)]
    return [f"{name}_{n}" if n else name for name, n in zip(names, before, strict=True)]


def _one_line(error: Exception) -> str:
    """Drop the excerpt of the query and the guesses among DuckDB's own tables."""
    message = re.split(r"\nLINE |\nDid you mean", str(error))[0]
    return " ".join(message.split())
