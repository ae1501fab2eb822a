"""The templates of pages, and the styles and scripts beside them."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_FOLDER = Path(__file__).parent
STATIC = _FOLDER / "static"
"""Styles and scripts, as pages take them."""


def templates() -> Environment:
    """What renders them: everything is escaped, and a name that is missing is an error."""
    return Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
