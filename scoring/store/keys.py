"""The hash that names artefacts, and the names of splits; free of torch."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import field, fields, is_dataclass
from typing import Any, Literal

from scoring.errors import BadStore

Split = Literal["train", "test"]
SPLITS: tuple[Split, Split] = ("train", "test")

_UNKEYED = "unkeyed"


def added(default: Any) -> Any:  # noqa: ANN401 - as `dataclasses.field`
    """Return a field that a spec, shape or source was given later: its default is not written.

    So whatever leaves it at its default keeps the key that it had before the field existed.
    """
    return field(default=default, metadata={_UNKEYED: default})


def jsonable(value: Any) -> Any:  # noqa: ANN401 - any spec or record
    """Turn dataclasses, tuples and mappings into values that `json` can write."""
    if is_dataclass(value) and not isinstance(value, type):
        kept = {f.name: (getattr(value, f.name), f.metadata) for f in fields(value)}
        return {
            name: jsonable(v)
            for name, (v, metadata) in kept.items()
            if _UNKEYED not in metadata or v != metadata[_UNKEYED]
        }
    if isinstance(value, Mapping):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [jsonable(v) for v in value]
    return value


def digest(value: Any) -> str:  # noqa: ANN401
    """Return an artefact's name: 32 hex digits of the SHA-256 of `value`'s canonical JSON.

    Raises:
        BadStore: a number is NaN or infinite; a flag cannot be, so a file of the store said so.
    """
    try:
        text = json.dumps(jsonable(value), sort_keys=True, separators=(",", ":"), allow_nan=False)
    except ValueError:
        raise BadStore("--store: expected records with finite numbers, got NaN or inf") from None
    return hashlib.sha256(text.encode()).hexdigest()[:32]
