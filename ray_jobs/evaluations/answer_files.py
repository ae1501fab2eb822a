"""Files that people send: read and checked one by one, each mistake in a line of its own."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ray_jobs.terminal.say import complain
from scoring.errors import UserError

_KEY = re.compile("[0-9a-f]{32}")


def read_each(names: Sequence[str], read: Callable[[str], None]) -> None:
    """Read files one after the other; all that cannot be used are named, one line each.

    Args:
        names: the files that --import names.
        read: reads one; raises `UserError`, without the file's name.

    Raises:
        UserError: a file cannot be used; it is about the last of them.
    """
    bad: list[UserError] = []
    for name in names:
        try:
            read(name)
        except UserError as error:
            bad.append(UserError(f"--import {name}: {error}"))
    for earlier in bad[:-1]:
        complain(str(earlier))
    if bad:
        raise bad[-1]


def load_json(name: str, largest_mb: int, what: str) -> Any:  # noqa: ANN401 - any JSON value
    """Read the JSON that a file holds.

    Args:
        name: the file.
        largest_mb: the most megabytes that it may have.
        what: the kind of page that writes such files.

    Raises:
        UserError: it holds none.
    """
    try:
        path = Path(name).expanduser()
        if path.exists() and not path.is_file():
            raise UserError("expected a file, got something else")
        if path.stat().st_size > largest_mb * 1_000_000:
            raise UserError(f"expected a file of at most {largest_mb} MB, got a larger one")
        return json.loads(path.read_text("utf-8"))
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise UserError(f"expected a file to read, got none ({why})") from error
    except (ValueError, RuntimeError) as error:  # no UTF-8, no JSON or too deep, no such home
        raise UserError(f"expected the JSON file of a {what}'s page, got something else") from error


def key_in(content: Mapping[str, Any], name: str) -> str:
    """Return what a file names by 32 hex digits, such as the design that it is about.

    Raises:
        UserError: it has something else there.
    """
    value = content.get(name)
    if not (isinstance(value, str) and _KEY.fullmatch(value)):
        raise UserError(f"expected 32 hex digits as {name}, got {short(value)}")
    return value


def short(value: object) -> str:
    """Return a value for a message, cut if it is long."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
