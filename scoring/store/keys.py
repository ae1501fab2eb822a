"""The hash that names artefacts, and the names of splits; free of torch."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Literal

Split = Literal["train", "test"]
SPLITS: tuple[Split, Split] = ("train", "test")


def jsonable(value: Any) -> Any:  # noqa: ANN401 - any spec or record
    """Turn dataclasses, tuples and mappings into values that `json` can write."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: jsonable(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [jsonable(v) for v in value]
    return value


def digest(value: Any) -> str:  # noqa: ANN401
    """Return an artefact's name: 32 hex digits of the SHA-256 of `value`'s canonical JSON."""
    text = json.dumps(jsonable(value), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
