"""The published tables: schemas, commits, SQL. Readable by anyone, no server needed."""

from scoring.tables.store import Store

__all__ = ["Store"]
