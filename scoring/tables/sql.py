"""SQL over data files: DuckDB reads them in place, and only the columns and rows it needs.

A query is a sandbox: it reads our views, and neither reads nor writes anything else. DuckDB has no
access to files but through `DataFiles`, which is ours, and its settings are locked.

A view is made only if the query names it. Whoever asks what there is (`show tables`, `describe`,
`information_schema`, `duckdb_columns()`) gets all views with their columns and comments; those that
the query does not name read nothing.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import duckdb
import pyarrow as pa

from scoring.errors import BadStore, Damaged, Outage, ProtoscoreError, UserError
from scoring.store.filesystems import filesystem
from scoring.store.storage import Storage
from scoring.tables.data_files import PROTOCOL, DataFiles, data_uri
from scoring.tables.delta import unusable
from scoring.tables.schemas import comment_of

TYPES = {
    pa.string(): "varchar",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.float64(): "double",
    pa.bool_(): "boolean",
    pa.date32(): "date",
    pa.timestamp("us", tz="UTC"): "timestamptz",
    pa.list_(pa.string()): "varchar[]",
    pa.list_(pa.int32()): "integer[]",
    pa.list_(pa.float32()): "float[]",
}


_READING = (duckdb.StatementType.SELECT, duckdb.StatementType.MULTI)  # MULTI: pivot
_SANDBOX = f"""
    set autoload_known_extensions = false;
    set autoinstall_known_extensions = false;
    set allow_persistent_secrets = false;
    set temp_directory = '';
    set allowed_directories = ['{PROTOCOL}://'];
    set enable_external_access = false;
    set lock_configuration = true;
"""
_REFUSED = (
    r"^Permission Error|configuration has been locked|Table with name \S*[/.]\S* does not exist"
)


class Deferred(UserError):
    """A query needs the values of a column that `deferred` stands in for."""


_DEFERRED = "protoscore: a deferred column"
_ASKS_WHAT_THERE_IS = re.compile(r"show|describe|information_schema|sqlite_master|(duckdb|pg)_\w+")


def run(
    storage: Storage,
    query: str,
    views: Mapping[str, Callable[[], str]],
    *,
    columns: Mapping[str, pa.Schema] | None = None,
    unsafe: bool = False,
) -> pa.Table:
    """Answer a query.

    Args:
        storage: the store with the files of the views.
        query: DuckDB SQL; if there are several statements, the last one answers.
        views: name to a function that returns the view's SQL, called only if the query has the name
            outside of strings and comments; a view may use those before it.
        columns: name to the columns of a view, for queries that ask what there is.
        unsafe: allow every statement, and whatever files this process may read or write.

    Raises:
        UserError: DuckDB rejects the query, the sandbox refuses it, or it returns no rows.
        Deferred: it needs a column that is `deferred`.
        BadStore: a file cannot be read.
        Damaged: a file is not what was written.
        Outage: the query needs more memory than there is.
    """
    files = DataFiles(storage)
    with duckdb.connect() as connection:
        # Only our views: otherwise DuckDB would also find Python variables by name.
        connection.execute("set python_enable_replacements = false; set TimeZone = 'UTC'")
        connection.register_filesystem(files)
        if not unsafe:
            connection.execute(_SANDBOX)
        elif "://" in storage.uri:
            connection.register_filesystem(filesystem(storage.uri)[0])
        try:
            words = _words(query)
            for name, definition in views.items():
                if name in words:
                    view = definition()
                    files.allow(_paths(view))
                    connection.execute(f"create view {name} as {view}")
            if any(map(_ASKS_WHAT_THERE_IS.fullmatch, words)):
                _describe(connection, columns or {}, words)
            if not unsafe:
                _check_reading(connection, query)
            rows = _answer(connection, query)
        except (duckdb.Error, UnicodeError) as error:
            raise _in_our_words(error, files, views) from error
    if rows is None:
        raise UserError(f"query: expected a statement that returns rows, got {query!r}")
    return rows.rename_columns(_distinct(rows.column_names))


def _paths(view: str) -> list[str]:
    """Return the data files that the SQL of a view reads, as `files_sql` writes them."""
    return [path.replace("''", "'") for path in re.findall(rf"'{PROTOCOL}://((?:[^']|'')*)'", view)]


def _words(query: str) -> set[str]:
    """Return the words of a query outside of strings and comments, in lower case."""
    text = query.encode()
    tokens = [*duckdb.tokenize(query), (len(text), None)]
    ignored = (duckdb.token_type.string_const, duckdb.token_type.comment)
    kept = [
        text[start:stop].decode()
        for (start, kind), (stop, _) in pairwise(tokens)
        if kind not in ignored
    ]
    return {word for token in kept for word in re.findall(r"\w+", token.lower())}


def _describe(
    connection: duckdb.DuckDBPyConnection, columns: Mapping[str, pa.Schema], made: Collection[str]
) -> None:
    """Comment the columns of all views, after standing in for those that are not made."""
    for name, schema in columns.items():
        if name not in made:
            refusal = f"error({quoted(f'{name}: expected its name in the query')})"
            connection.execute(
                f"create view {name} as select {nulls(schema)} where {refusal}::boolean"
            )
        for column in schema:
            connection.execute(
                f'comment on column {name}."{column.name}" is {quoted(comment_of(column))}'
            )


def _answer(connection: duckdb.DuckDBPyConnection, query: str) -> pa.Table | None:
    """Run a query in a thread: DuckDB would swallow what a signal raises in the main one."""

    def run() -> pa.Table | None:
        answer = connection.sql(query)
        return None if answer is None else answer.to_arrow_table()

    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(run)
        try:
            return running.result()
        except BaseException:
            connection.interrupt()
            raise


def _check_reading(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    """Refuse statements that do more than read."""
    for statement in connection.extract_statements(query):
        if _kind(statement) not in _READING:
            got = " ".join(statement.query.split())
            raise UserError(
                f"query: expected statements that only read (select, from, with, pivot), got "
                f"{got!r}; --unsafe allows it"
            )


def _kind(statement: duckdb.Statement) -> duckdb.StatementType:
    try:
        return statement.type
    except ValueError:  # a kind that DuckDB's own Python does not know
        return duckdb.StatementType.INVALID


def _in_our_words(
    error: duckdb.Error | UnicodeError, files: DataFiles, views: Mapping[str, object]
) -> BaseException:
    """Turn what stopped a query into an error of one line."""
    if files.failure:
        return _unreadable(files.storage, files.failure)
    got = _one_line(error)
    if _DEFERRED in got:
        return Deferred(f"query: expected SQL without {_DEFERRED}, got {got}")
    if isinstance(error, duckdb.IOException):
        return BadStore(f"expected files that can be read, got {got}")
    if isinstance(error, duckdb.OutOfMemoryException):
        return Outage(f"query: expected a query that fits into memory, got {got}")
    # Files without hashes: Parquet's reader raises these; what a query does wrong has other ones.
    if type(error) in (duckdb.Error, UnicodeDecodeError) or (
        isinstance(error, duckdb.InvalidInputException) and f"{PROTOCOL}://" in got
    ):
        return Damaged(f"--store: expected {files.names()} as written, got {got}")
    hint = "; --unsafe allows more than the tables" if re.search(_REFUSED, got) else ""
    return UserError(f"query: expected SQL over {', '.join(views)}, got {got}{hint}")


def _unreadable(storage: Storage, error: BaseException) -> BaseException:
    if isinstance(error, FileNotFoundError | PermissionError):
        return BadStore(f"expected files that can be read, got {_one_line(error)}")
    if isinstance(error, ProtoscoreError) or not isinstance(error, Exception):
        return error
    return unusable(storage, error)


def files_sql(
    paths: Sequence[str],
    schema: pa.Schema,
    partition_columns: Sequence[str] = (),
    lacking: Mapping[str, tuple[str, ...]] | None = None,
) -> str:
    """Return the SQL that reads data files.

    Args:
        paths: the files in the store; may be none.
        schema: the columns, in order.
        partition_columns: those of them that are in the path as `column=value`; they come first.
        lacking: path to the columns that the file lacks, which are null; None: no file lacks any.
    """
    if not paths:
        return f"select {nulls(schema)} where false"
    alike: dict[tuple[str, ...], list[str]] = {}
    for path in paths:
        alike.setdefault((lacking or {}).get(path, ()), []).append(quoted(data_uri(path)))
    hive = "true, hive_types_autocast = false" if partition_columns else "false"
    return " union all ".join(
        f"select {_columns(schema, null)} from read_parquet([{', '.join(files)}], "
        f"hive_partitioning = {hive})"
        for null, files in alike.items()
    )


def _columns(schema: pa.Schema, null: Sequence[str]) -> str:
    """List the columns of a select, some of them null."""
    return ", ".join(
        nulls(pa.schema([field])) if field.name in null else field.name for field in schema
    )


def deferred(name: str) -> str:
    """Return the SQL of a string column that is dear to make: no row of it can be had.

    A query that does not use the column never evaluates it; one that does raises `Deferred`.
    """
    return f"error({quoted(_DEFERRED)})::varchar as {name}"


def nulls(schema: pa.Schema) -> str:
    """Return the SQL of a null in each column."""
    return ", ".join(f"null::{TYPES[field.type]} as {field.name}" for field in schema)


def quoted(text: str) -> str:
    """Quote a string as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def _distinct(names: Sequence[str]) -> list[str]:
    """Make column names unique after a join: a second `name` becomes `name_1`."""
    before = [names[:i].count(name) for i, name in enumerate(names)]
    return [f"{name}_{n}" if n else name for name, n in zip(names, before, strict=True)]


def _one_line(error: BaseException) -> str:
    """Drop the excerpt of the query, the guesses among DuckDB's own tables, and stack traces."""
    message = re.split(r"\nLINE |\nDid you mean|\nStack Trace", str(error))[0]
    return " ".join(message.split())
