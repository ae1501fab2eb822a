"""A lease for commands that write a file or folder, which may lie in a store."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from ray_jobs.jobs.lease import writing_job
from scoring.store.storage import Storage


@contextmanager
def writing_into(
    storage: Storage, target: str, kind: str, *, command: str, dataset: str
) -> Iterator[None]:
    """Hold a lease if a file or folder lies in a store; other places need none.

    Args:
        storage: the store.
        target: the file or folder, a path or a URI.
        kind: of job, such as "report".
        command: what the user typed.
        dataset: name of the dataset the job works on.
    """
    inside = f"{_place(target)}/".startswith(f"{_place(storage.uri)}/")
    with writing_job(storage, kind, command=command, dataset=dataset) if inside else nullcontext():
        yield


def _place(uri: str) -> str:
    """Return a path without links, or a URI, so that one can be found within another."""
    return uri.rstrip("/") if "://" in uri else str(Path(uri).expanduser().resolve())
