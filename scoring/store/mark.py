"""The mark of a store: `protoscore.json` in its root, written when the store is made.

Nothing is written to a folder without a mark, nor removed from it, so that `--store ~` by mistake
harms nothing.
"""

import os
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from scoring.errors import BadStore, Damaged
from scoring.store.file_kinds import unfinished
from scoring.store.layout import MARK, RESERVE, SEALED_LAYOUT, TOP_FOLDERS
from scoring.store.records import read_record, write_record
from scoring.store.storage import Storage

LAYOUT = SEALED_LAYOUT
"""Version of the layout that this protoscore writes."""
_RESERVE_BYTES = 256 << 10


@dataclass(frozen=True, kw_only=True)
class Mark:
    """What the mark says. The fields are the keys of its JSON."""

    store: str
    """Id of the store: 32 hex digits."""
    layout: int
    made_at: str
    """ISO 8601 in UTC."""


def check_marked(storage: Storage) -> None:
    """Refuse a folder that is not a store of a layout we know.

    Raises:
        BadStore: it has no mark, or a later protoscore made it.
    """
    if not _is_marked(storage):
        raise BadStore(
            f"--store: expected a store, got {storage.uri!r} without {MARK}{_advice(storage)}"
        )


def check_new_or_marked(storage: Storage) -> None:
    """Refuse a folder that neither is a store nor can become one, because it holds other things.

    Raises:
        BadStore: it is such a folder, or a later protoscore made it.
    """
    if _is_marked(storage):
        return
    if names := {name for name in storage.names("") if unfinished(name) != MARK}:
        raise BadStore(
            f"--store: expected a store or a new folder, got {storage.uri!r} with "
            f"{sorted(names)[0]!r} in it and no {MARK}{_advice(storage)}"
        )


def ensure_marked(storage: Storage) -> None:
    """Mark an empty or new folder as a store; a marked one stays as it is.

    Raises:
        BadStore: the folder holds other things.
    """
    check_new_or_marked(storage)
    if not storage.exists(MARK):
        _write_mark(storage, LAYOUT)


def adopt(storage: Storage) -> None:
    """Mark a store that an earlier protoscore made. Its files without seals are trusted.

    Raises:
        BadStore: the folder does not look like one.
    """
    if _is_marked(storage):
        return
    if not _looks_like_ours(storage):
        raise BadStore(
            f"--store: expected a store that an earlier protoscore made, got {storage.uri!r}"
        )
    _write_mark(storage, SEALED_LAYOUT - 1)


def write_reserve(storage: Storage) -> None:
    """Write a file of no use, which a vacuum removes to have room for its lease on a full disk."""
    storage.write(RESERVE, os.urandom(_RESERVE_BYTES))


def _write_mark(storage: Storage, layout: int) -> None:
    """Write the mark before anything else, lest a store half made look like a folder of others."""
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    write_record(storage, MARK, Mark(store=uuid.uuid4().hex, layout=layout, made_at=made_at))
    write_reserve(storage)


def _is_marked(storage: Storage) -> bool:
    try:
        mark = read_record(storage, MARK, Mark)
    except FileNotFoundError:
        return False
    except Damaged:
        raise BadStore(
            f"--store: expected a readable {MARK} in {storage.uri!r}, got a damaged one; remove "
            "it, then run protoscore adopt"
        ) from None
    if mark.layout > LAYOUT:
        raise BadStore(
            f"--store: expected a store of layout {LAYOUT} or before, got layout {mark.layout} in "
            f"{storage.uri!r}; a later protoscore made it"
        )
    return True


def _advice(storage: Storage) -> str:
    return (
        "; if an earlier protoscore made it, run protoscore adopt"
        if _looks_like_ours(storage)
        else ""
    )


def _looks_like_ours(storage: Storage) -> bool:
    return len(storage.names("") & set(TOP_FOLDERS)) > 1
