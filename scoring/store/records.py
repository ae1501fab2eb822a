"""JSON records of a store: frozen dataclasses, checked against their types when read.

Unknown fields are ignored and missing ones take their defaults, so a store of an earlier or later
version stays readable.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from cattrs import BaseValidationError, Converter, transform_error

from scoring.errors import BadStore
from scoring.store.keys import jsonable
from scoring.store.storage import Storage

Record = TypeVar("Record")
_converter = Converter()


def _check(value: Any, kind: type) -> Any:  # noqa: ANN401 - any JSON value
    """Return a JSON value unchanged: an int in place of a float stays an int, as keys hash it."""
    if type(value) is not kind and not (kind is float and type(value) is int):
        raise TypeError
    return value


def _reason(error: BaseException, kind: type | None) -> str:
    if isinstance(error, KeyError):
        return "nothing"
    if kind is None:  # the record's own check of its fields
        return str(error)
    return f"no {kind.__name__ if isinstance(kind, type) else kind}"


for _kind in (bool, int, float, str):
    _converter.register_structure_hook(_kind, _check)


def register_union(union: Any, choose: Callable[[Any], type]) -> None:  # noqa: ANN401
    """Say how to tell from a JSON object which type of a union it is."""
    _converter.register_structure_hook(
        union, lambda value, _: _converter.structure(value, choose(value))
    )


def to_json(record: object, indent: int | None = None) -> bytes:
    """Return a record's JSON."""
    return json.dumps(jsonable(record), indent=indent).encode()


def from_json(data: bytes, kind: type[Record], path: str) -> Record:
    """Build a record from its JSON.

    Args:
        data: the JSON.
        kind: the record's type.
        path: path of its file in the store, for the error message.

    Raises:
        BadStore: the data are not JSON, or do not fit the type.
    """
    try:
        return _converter.structure(json.loads(data), kind)
    except BaseValidationError as error:
        reason = transform_error(error, format_exception=_reason)[0]
    except (TypeError, ValueError) as error:
        reason = f"no JSON object ({error})"
    raise BadStore(f"--store: expected a {kind.__name__} in {path}, got {reason}")


def read_record(storage: Storage, path: str, kind: type[Record]) -> Record:
    """Read a record; `FileNotFoundError` if there is none."""
    return from_json(storage.read(path), kind, path)


def read_records(storage: Storage, paths: Sequence[str], kind: type[Record]) -> list[Record]:
    """Read several records in parallel, in the order given."""
    found = storage.read_all(paths)
    return [from_json(data, kind, path) for path, data in zip(paths, found, strict=True)]
