"""The templates of the pages, with their styles and scripts."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_FOLDER = Path(__file__).parent
STATIC = _FOLDER / "static"
"""Folder of the styles and scripts."""
STUDY_STATIC = _FOLDER / "study_static"
"""Folder of those that only the page of a human study has."""
REVIEW_STATIC = _FOLDER / "review_static"
"""Folder of those that only the page of a label review has."""


def templates() -> Environment:
    """Return the Jinja environment: it escapes everything and rejects undefined names."""
    return Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
