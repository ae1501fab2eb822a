"""JSON from files, which may hold anything."""

import json
from typing import Any


def parse_json(data: bytes | str) -> Any:  # noqa: ANN401 - any JSON value
    """Parse JSON.

    Raises:
        ValueError: it is none, it is no text, or it is nested too deeply.
    """
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("lists or objects nested too deeply") from error
