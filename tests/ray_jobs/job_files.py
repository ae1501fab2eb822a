"""Job records as other machines, other versions and accidents leave them in a store."""

import os
import time
from pathlib import Path
from typing import Any

from scoring.store.records import write_record
from scoring.store.storage import Storage

_NOW = "2026-03-01T00:00:00.000+00:00"
JOB = {
    "job_id": "j1",
    "job": "rescore",
    "dataset": "digits",
    "command": "protoscore rescore",
    "host": "elsewhere",
    "pid": 1,
    "pid_space": "another kernel, pid:[1]",
    "pid_started": "1",
    "started_at": _NOW,
    "seen_at": _NOW,
    "state": "running",
}


def put(storage: Storage, *, minutes_old: float = 0, **fields: Any) -> str:
    """Write the record of a job on another machine; return its path in the store.

    The file was written `minutes_old` ago, whatever the times in it.
    """
    record = {**JOB, **fields}
    path = f"jobs/{record['job_id']}.json"
    write_record(storage, path, record)
    return _aged(storage, path, minutes_old)


def put_file(storage: Storage, name: str, data: bytes, minutes_old: float = 0) -> str:
    """Write a file among the job records; return its path in the store."""
    path = f"jobs/{name}.json"
    storage.write(path, data)
    return _aged(storage, path, minutes_old)


def _aged(storage: Storage, path: str, minutes_old: float) -> str:
    written = time.time() - 60 * minutes_old
    os.utime(Path(storage.uri) / path, (written, written))
    return path
