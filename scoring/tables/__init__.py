"""The published tables: schemas, commits, SQL. Anyone can read them without a server."""

from scoring.tables.store import Store

__all__ = ["Store"]
