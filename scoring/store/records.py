"""JSON records of a store: frozen dataclasses, checked against their types when read.

Unknown fields are ignored and missing ones take their defaults, so a store of an earlier or later
version stays readable.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import is_dataclass
from typing import Any, TypeVar

from cattrs import BaseValidationError, Converter, transform_error
from cattrs.gen import make_dict_structure_fn

from scoring.errors import BadStore, Damaged
from scoring.logs import logger
from scoring.store.json_text import parse_json
from scoring.store.keys import jsonable
from scoring.store.layout import copy_path
from scoring.store.parallel import in_parallel
from scoring.store.sealed import BLANK, SEAL, read_sealed, read_sound, write_sealed
from scoring.store.storage import Storage

Record = TypeVar("Record")
_converter = Converter()
_MOST = 2**63
"""Integers beyond 64 bits fit neither columns nor arrays."""
_log = logger(__name__)


def _check(value: Any, kind: type) -> Any:  # noqa: ANN401 - any JSON value
    """Return a JSON value unchanged: an int in place of a float stays an int, as keys hash it."""
    if type(value) is not kind and not (kind is float and type(value) is int):
        raise TypeError
    if isinstance(value, int) and not -_MOST <= value < _MOST:
        raise TypeError
    if isinstance(value, str):
        value.encode()  # refuses halves of characters
    return value


def _only_lists(kind: Any) -> Callable[[Any, Any], Any]:  # noqa: ANN401
    """Return cattrs' own hook for a kind of tuple, for JSON lists: it would take a string apart."""
    hook = _converter.get_structure_hook(kind)

    def structure(value: Any, of: Any) -> Any:  # noqa: ANN401
        if not isinstance(value, list):
            raise TypeError
        return hook(value, of)

    return structure


def _only_objects(kind: Any) -> Callable[[Any, Any], Any]:  # noqa: ANN401
    """Return a hook for a dataclass: cattrs takes a list or a string for one without fields."""
    hook = make_dict_structure_fn(kind, _converter)

    def structure(value: Any, of: Any) -> Any:  # noqa: ANN401
        if not isinstance(value, dict):
            raise TypeError(f"a {type(value).__name__}")
        return hook(value, of)

    return structure


def _reason(error: BaseException, kind: type | None) -> str:
    if isinstance(error, KeyError):
        return "nothing"
    if kind is None:  # the record's own check of its fields
        return str(error)
    return f"no {kind.__name__ if isinstance(kind, type) else kind}"


for _kind in (bool, int, float, str):
    _converter.register_structure_hook(_kind, _check)
_converter.register_structure_hook_func(
    lambda kind: getattr(kind, "__origin__", None) is tuple, _only_lists(tuple[str, ...])
)
_converter.register_structure_hook_factory(is_dataclass, _only_objects)


def register_union(union: Any, choose: Callable[[Any], type]) -> None:  # noqa: ANN401
    """Say how to tell from a JSON object which type of a union it is."""
    _converter.register_structure_hook(
        union, lambda value, _: _converter.structure(value, choose(value))
    )


def write_record(storage: Storage, path: str, record: object) -> None:
    """Write a record, or a dict of JSON values, as a sealed file."""
    data = json.dumps({**jsonable(record), SEAL: BLANK}, indent=1)
    write_sealed(storage, path, data.encode())


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
        return _converter.structure(parse_json(data), kind)
    except BaseValidationError as error:
        reason = transform_error(error, format_exception=_reason)[0]
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        reason = f"no JSON object ({error})"
    raise BadStore(f"--store: expected a {kind.__name__} in {path}, got {reason}")


def read_json(storage: Storage, path: str) -> dict[str, Any]:
    """Read what `write_record` wrote, as a dict; raises what `read_record` raises."""
    return read_record(storage, path, dict[str, Any])


def read_record(storage: Storage, path: str, kind: type[Record]) -> Record:
    """Read a record.

    Raises:
        FileNotFoundError: there is none.
        Damaged: it is not what was written.
        BadStore: it does not fit the type.
    """
    return from_json(read_sealed(storage, path), kind, path)


def read_records(storage: Storage, paths: Sequence[str], kind: type[Record]) -> list[Record]:
    """Read several records in parallel, in the order given; raises what `read_record` raises."""
    return list(in_parallel(lambda path: read_record(storage, path, kind), paths))


def write_twice(storage: Storage, path: str, record: object) -> None:
    """Write a record that nothing could make again, and a copy of it."""
    for place in (copy_path(path), path):  # so that whatever has a record has its copy too
        write_record(storage, place, record)


def read_either(storage: Storage, path: str, kind: type[Record]) -> Record:
    """Read a record that was written twice.

    Raises:
        FileNotFoundError: both are missing.
        Damaged: neither is what was written.
        BadStore: it does not fit the type.
    """
    try:
        return from_json(read_sealed(storage, path), kind, path)
    except (FileNotFoundError, Damaged) as error:
        try:
            copy = read_sealed(storage, copy_path(path))
        except FileNotFoundError:
            raise error from None
        record = from_json(copy, kind, path)
        _log.warning("%s is missing or damaged, but its copy is not", path)
        if storage.mends:
            write_record(storage, path, parse_json(copy))
        return record


def read_sound_records(
    storage: Storage, paths: Iterable[str], kind: type[Record]
) -> dict[str, Record]:
    """Read those of several records that exist and can be read, by path in the order given.

    Each of the others is named in a warning; a damaged one is set aside.
    """
    found = {}
    for path, data in read_sound(storage, paths).items():
        try:
            found[path] = from_json(data, kind, path)
        except BadStore as error:  # of a later version
            _log.warning("%s", error)
    return found
