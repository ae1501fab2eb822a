"""The entries of a table's log, read one by one.

Not with delta-rs's `history`, which may wait for a store forever: its requests know no end when the
store breaks off in the middle of an answer.
"""

import json
from typing import Any

from scoring.store.layout import log_folder
from scoring.store.storage import Storage
from scoring.tables.log_check import check_entries

Action = dict[str, Any]


def log_entries(storage: Storage, name: str) -> dict[int, list[Action]]:
    """Return the actions of each entry that is kept, oldest first, by the version it made.

    Raises:
        Damaged: an entry is missing or not what was committed.
    """
    check_entries(storage, name)
    folder = log_folder(name)
    stems = sorted(file.removesuffix(".json") for file in storage.names(folder))
    paths = {f"{folder}/{stem}.json": int(stem) for stem in stems if stem.isdecimal()}
    found = storage.read_existing(paths)
    return {paths[path]: [json.loads(line) for line in found[path].splitlines()] for path in found}


def commit_info(entry: list[Action]) -> Action:
    """Return what an entry says of its commit: when it was made, and by which night."""
    return next((action["commitInfo"] for action in entry if "commitInfo" in action), {})
