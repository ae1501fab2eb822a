"""Checks a Delta table's log: every commit of ours carries a hash of what it changed.

delta-rs checks nothing: a bit that flips in the log can hide a partition, or show one twice, and a
table whose last entry is lost looks as it did before. So every entry has a copy.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from deltalake import Schema
from deltalake.transaction import AddAction, RemoveAction

from scoring.errors import Damaged
from scoring.logs import logger
from scoring.store.json_text import parse_json
from scoring.store.keys import digest
from scoring.store.layout import log_copies_folder, log_folder
from scoring.store.parallel import do_in_parallel
from scoring.store.records import read_sound_records, write_record
from scoring.store.storage import Storage

COMMITTED_MS = "committed_ms"
"""When a commit was prepared, in milliseconds since the epoch; hashed, unlike delta-rs's own."""
_HASH = "protoscore_sha256"
METADATA = ("night_id", COMMITTED_MS)
"""What a commit says of itself that is hashed."""
_Action = dict[str, Any]
_checked: set[tuple[str, str]] = set()
"""Store and path of each entry that this process has checked; an entry is never rewritten."""
_log = logger(__name__)


@dataclass(frozen=True, kw_only=True)
class LogCopy:
    """A copy of an entry of a log."""

    entry: str
    """All of its text."""


def hashed(
    metadata: Mapping[str, str],
    actions: Iterable[AddAction | RemoveAction],
    transactions: Mapping[str, int],
) -> dict[str, str]:
    """Return a commit's metadata, with the hash of all that the commit holds."""
    found = [
        _file("add", action.path, action.size, action.partition_values)
        if isinstance(action, AddAction)
        else _file("remove", action.path, action.deletion_timestamp, {})
        for action in actions
    ]
    found += [["txn", name, version] for name, version in transactions.items()]
    return _dated_and_hashed(found, metadata)


def hashed_creation(
    schema: Schema, partition_by: Sequence[str], configuration: Mapping[str, str]
) -> dict[str, str]:
    """Return the metadata of the commit that creates a table, or gives it other columns.

    With the hash of what it holds.
    """
    return _dated_and_hashed([_table(schema.to_json(), partition_by, configuration)], {})


def _dated_and_hashed(found: list[list[object]], metadata: Mapping[str, str]) -> dict[str, str]:
    dated = {**metadata, COMMITTED_MS: str(time.time_ns() // 1_000_000)}
    return {**dated, _HASH: _hash(found, dated)}


def check_entries(storage: Storage, name: str) -> None:
    """Check all entries of a table's log that this process has not checked before.

    A job that may write puts copies in the place of damaged and missing entries, and copies what
    has no copy yet.

    Raises:
        Damaged: an entry is missing or not what was committed.
    """
    copies = _entries(storage, log_copies_folder(name))  # an entry is written before its copy
    entries = _entries(storage, log_folder(name))
    new = [f"{log_folder(name)}/{entry}" for entry in sorted(entries)]
    new = [path for path in new if (storage.uri, path) not in _checked]
    bad = [f"{log_folder(name)}/{entry}" for entry in sorted(copies - entries)]
    for path, data in storage.read_existing(new).items():
        if _is_intact(data, or_without_hash=storage.has_unsealed_files):
            _checked.add((storage.uri, path))
        else:
            bad.append(path)
    if bad:
        _restore(storage, name, bad)
    if storage.mends:
        do_in_parallel(lambda entry: _copy(storage, name, entry), entries - copies)


def copy_entry(storage: Storage, name: str, version: int) -> None:
    """Copy the entry of a version that has just been committed."""
    _copy(storage, name, f"{version:020}.json")


def restore_changed(storage: Storage, name: str) -> bool:
    """Compare all entries of a table's log with their copies, byte for byte.

    A job that may write puts copies in the place of entries that differ.

    Returns:
        Whether there were any.

    Raises:
        Damaged: there are, and this job may not write.
    """
    folder = log_folder(name)
    entries = storage.read_existing(f"{folder}/{entry}" for entry in _entries(storage, folder))
    copies = _copies(storage, name, entries)
    changed = [path for path in copies if copies[path] != entries[path]]
    if changed:
        _restore(storage, name, changed)
    return bool(changed)


def _entries(storage: Storage, folder: str) -> set[str]:
    return {file for file in storage.names(folder) if file.endswith(".json")}


def _copy(storage: Storage, name: str, entry: str) -> None:
    data = storage.read(f"{log_folder(name)}/{entry}")
    if _is_intact(data, or_without_hash=storage.has_unsealed_files):
        path = f"{log_copies_folder(name)}/{entry}"
        write_record(storage, path, LogCopy(entry=data.decode()))


def _restore(storage: Storage, name: str, bad: Sequence[str]) -> None:
    """Put copies in the place of damaged entries, or say which entry is damaged."""
    copies = _copies(storage, name, bad)
    for path in bad:
        if not storage.mends or path not in copies:
            way = "rescore or verify --mend restores it"
            raise Damaged(
                f"--store: expected {path} as it was committed, got a damaged file or none; "
                f"{way if path in copies else 'restore it from a backup'}"
            )
        storage.write(path, copies[path])
        _log.warning("%s was missing or damaged; it is restored from its copy", path)


def _copies(storage: Storage, name: str, paths: Iterable[str]) -> dict[str, bytes]:
    """Return the copies of entries, by the path of the entry; damaged copies are left out."""
    folder = log_copies_folder(name)
    copies = {f"{folder}/{path.rpartition('/')[2]}": path for path in paths}
    found = read_sound_records(storage, copies, LogCopy)
    return {copies[copy]: record.entry.encode() for copy, record in found.items()}


def _is_intact(data: bytes, *, or_without_hash: bool) -> bool:
    try:
        entry = [parse_json(line) for line in data.decode().splitlines()]
        found = [action["commitInfo"] for action in entry if "commitInfo" in action]
        info: dict[str, str] = found[0] if found else {}
        metadata = {key: value for key, value in info.items() if key in METADATA}
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
            yield _file("remove", unquote(remove["path"]), remove["deletionTimestamp"], {})
        if transaction := action.get("txn"):
            yield ["txn", transaction["appId"], transaction["version"]]
        if table := action.get("metaData"):
            yield _table(table["schemaString"], table["partitionColumns"], table["configuration"])


def _file(kind: str, path: str, number: int, values: Mapping[str, str | None]) -> list[object]:
    """Return what is hashed of an action on a file: its size, or when it was removed."""
    return [kind, path, number, sorted((key, str(value)) for key, value in values.items())]


def _table(
    schema: str, partition_by: Sequence[str], configuration: Mapping[str, str]
) -> list[object]:
    return [
        "metaData",
        digest(parse_json(schema)),
        list(partition_by),
        sorted(configuration.items()),
    ]


def _hash(actions: list[list[object]], metadata: Mapping[str, str]) -> str:
    return digest([sorted(map(str, actions)), metadata])
