"""Flags that several commands share, each with one help text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import pyarrow as pa
import tyro

from ray_jobs.terminal.console import default_store
from ray_jobs.terminal.tables import Format, show
from scoring.errors import UserError


def by_default(words: str) -> object:
    """Annotate a flag to say in words what happens without it; "" says nothing."""
    return tyro.conf.arg(help_behavior_hint=f"(default: {words})" if words else "")


StoreUri = Annotated[
    str,
    by_default("$PROTOSCORE_STORE, else ./store"),
    tyro.conf.arg(help="The store: a folder or s3://bucket/prefix."),
]
"""Give it `default_store` as the field's default factory."""

PublishedDataset = Annotated[
    str | None,
    by_default("the only one published"),
    tyro.conf.arg(help="Name of a published dataset."),
]

AllowedNets = Annotated[
    tuple[str, ...],
    by_default("none but --net"),
    tyro.conf.arg(
        help="Nets of your own, package.module:factory, that the store or a manifest names.\n"
        "Their code runs, so it must be named here."
    ),
]

At = Annotated[
    str | None,
    by_default("now"),
    tyro.conf.arg(help="Scores as of a version, a date or a UTC time such as 2026-03-31T06:00."),
]

RawCsv = Annotated[
    bool,
    tyro.conf.arg(
        help="CSV: write text as it is. Otherwise an apostrophe stands before text that begins "
        "with = + - @, a tab or the end of a line, so that no spreadsheet runs it."
    ),
]


def check_import(files: Sequence[str] | None, writing: Mapping[str, object]) -> None:
    """Refuse --import without files, and with flags that are for writing what people fill in.

    Args:
        files: what --import names; None: it is not given.
        writing: those flags, None where one is not given.

    Raises:
        UserError: naming the flag.
    """
    if files == ():
        raise UserError("--import: expected one or more files, got none")
    for flag, value in writing.items():
        if files and value is not None:
            raise UserError(f"{flag}: expected it without --import, got both")


@dataclass(frozen=True, kw_only=True)
class OutputFlags:
    """How to write a table, and where."""

    format: Annotated[Format | None, by_default("by the suffix of --output, else table")] = None
    """How to write the table."""
    output: Annotated[str, by_default("standard output")] = ""
    """File to write to."""
    raw_csv: RawCsv = False

    def show(self, table: pa.Table, caption: str = "") -> None:
        """Write a table as the flags say, with a caption if it is for people.

        Raises:
            UserError: Parquet without a file, --raw-csv without CSV, or a file that cannot be
                written.
        """
        show(table, self.format, self.output, raw_csv=self.raw_csv, caption=caption)


@dataclass(frozen=True, kw_only=True)
class TableFlags(OutputFlags):
    """The store to read and the table to write."""

    store: StoreUri = field(default_factory=default_store)
