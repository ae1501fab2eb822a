"""Checks a Delta table's log: every commit of ours carries a hash of what it changed.

delta-rs checks nothing: a bit that flips in the log can hide a partition, or show one twice.
"""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from deltalake import Schema
from deltalake.transaction import AddAction, RemoveAction

from scoring.errors import Damaged
from scoring.store.keys import digest
from scoring.store.layout import log_folder
from scoring.store.storage import Storage

COMMITTED_MS = "committed_ms"
"""When a commit was prepared, in milliseconds since the epoch; hashed, unlike delta-rs's own."""
_HASH = "protoscore_sha256"
_METADATA = ("night_id", COMMITTED_MS)
_Action = dict[str, Any]
_checked: set[tuple[str, str]] = set()
"""Store and path of each entry that this process has checked; an entry is never rewritten."""


def hashed(
    metadata: Mapping[str, str],
    actions: Iterable[AddAction | RemoveAction],
    transactions: Mapping[str, int],
) -> dict[str, str]:
    """Return a commit's metadata, with the hash of all that the commit holds."""
    found = [
        _file("add", action.path, action.size, action.partition_values)
        if isinstance(action, AddAction)
        else _file("remove", action.path, 0, {})
        for action in actions
    ]
    found += [["txn", name, version] for name, version in transactions.items()]
    dated = {**metadata, COMMITTED_MS: str(time.time_ns() // 1_000_000)}
    return {**dated, _HASH: _hash(found, dated)}


def hashed_creation(
    schema: Schema, partition_by: Sequence[str], configuration: Mapping[str, str]
) -> dict[str, str]:
    """Return the metadata of the commit that creates a table, with the hash of what it holds."""
    found = _table(schema.to_json(), partition_by, configuration)
    return {_HASH: _hash([found], {})}


def check_entries(storage: Storage, name: str) -> None:
    """Check all entries of a table's log that this process has not checked before.

    Raises:
        Damaged: an entry is not what was committed.
    """
    folder = log_folder(name)
    paths = sorted(f"{folder}/{file}" for file in storage.names(folder) if file.endswith(".json"))
    new = [path for path in paths if (storage.uri, path) not in _checked]
    for path, data in storage.read_existing(new).items():
        if not _is_intact(data, or_without_hash=storage.has_unsealed_files):
            raise Damaged(
                f"--store: expected {path} as it was committed, got a damaged file; "
                "restore it from a backup"
            )
        _checked.add((storage.uri, path))


def _is_intact(data: bytes, *, or_without_hash: bool) -> bool:
    try:
        entry = [json.loads(line) for line in data.decode().splitlines()]
        found = [action["commitInfo"] for action in entry if "commitInfo" in action]
        info: dict[str, str] = found[0] if found else {}
        metadata = {key: value for key, value in info.items() if key in _METADATA}
        if _HASH not in info:
            return or_without_hash
        return bool(info[_HASH] == _hash(list(_read(entry)), metadata))
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


def _read(entry: Iterable[_Action]) -> Iterable[list[object]]:
    for action in entry:
        if add := action.get("add"):
            yield _file("add", unquote(add["path"]), add["size"], add["partitionValues"])
        if remove := action.get("remove"):
            yield _file("remove", unquote(remove["path"]), 0, {})
        if transaction := action.get("txn"):
            yield ["txn", transaction["appId"], transaction["version"]]
        if table := action.get("metaData"):
            yield _table(table["schemaString"], table["partitionColumns"], table["configuration"])


def _file(kind: str, path: str, size: int, values: Mapping[str, str | None]) -> list[object]:
    return [kind, path, size, sorted((key, str(value)) for key, value in values.items())]


def _table(
    schema: str, partition_by: Sequence[str], configuration: Mapping[str, str]
) -> list[object]:
    return [
        "metaData",
        digest(json.loads(schema)),
        list(partition_by),
        sorted(configuration.items()),
    ]


def _hash(actions: list[list[object]], metadata: Mapping[str, str]) -> str:
    return digest([sorted(map(str, actions)), metadata])
