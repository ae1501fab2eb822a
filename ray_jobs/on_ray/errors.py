"""Errors of workers come out on the driver as what they are.

Ray wraps what a worker raises, and Ray Data drops it for a text of its own. So whatever Ray calls
is `telling`: its errors travel as a kind and one line, and `unwrapped` turns them back. The driver
then ends as if it had done the work itself.
"""

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from ray.exceptions import (
    ObjectStoreFullError,
    OutOfDiskError,
    OutOfMemoryError,
    RayActorError,
    RayError,
    RayTaskError,
    WorkerCrashedError,
)

from ray_jobs.terminal.signals import interruption
from scoring.errors import InternalError, Outage
from scoring.store.outages import AGAIN, known

Arguments = ParamSpec("Arguments")
Made = TypeVar("Made")

_LOWER = "lower --cpus, --batch-rows, --cache-memory-gb or --train-memory-gb, or add memory"
_MEMORY_WORDS = ("memory pressure", "low on memory", "out of memory")


class FromWorker(Exception):
    """Carries an error to the driver: its kind (None: a mistake of ours), a line, the full text.

    Ray adds texts to the arguments, so there are no fields.
    """


def telling(function: Callable[Arguments, Made]) -> Callable[Arguments, Made]:
    """Let a function that Ray calls on a worker raise nothing but `FromWorker`."""

    @wraps(function)
    def tell(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Made:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            ours = known(error)
            kind = type(ours) if ours else None
            line = str(ours) if ours else type(error).__name__
            raise FromWorker(kind, line, traceback.format_exc()) from None

    return tell


@contextmanager
def unwrapped() -> Iterator[None]:
    """Raise errors of workers as themselves.

    Raises:
        ProtoscoreError: a worker raised it.
        Outage: a worker, a node or Ray failed.
        InternalError: any other error of a worker.
        Terminated: SIGTERM was received.
    """
    try:
        yield
    except RayError as error:
        raise told(error) from None
    except KeyboardInterrupt:
        raise interruption() from None


def told(error: BaseException) -> Exception:
    """Return what is behind an error of Ray."""
    cause = error.cause if isinstance(error, RayTaskError) else error
    if isinstance(cause, FromWorker):
        return _rebuilt(*cause.args[:3])
    if isinstance(cause, RayError):
        return Outage(f"{_failure(cause)}; {AGAIN}")
    return known(cause) or _mistake(type(cause).__name__, str(error))


def is_death(error: BaseException) -> bool:
    """Whether a worker or a node died, which says nothing of the work it did."""
    return isinstance(error, RayActorError | WorkerCrashedError | OutOfMemoryError)


def _rebuilt(kind: type[Exception] | None, line: str, text: str) -> Exception:
    if kind is None:
        return _mistake(line, text)
    error = kind.__new__(kind)  # kinds differ in what they are made from
    error.args = (line,)
    return error


def _mistake(name: str, text: str) -> InternalError:
    mistake = InternalError(f"{name} on a worker")
    mistake.add_note(text)
    return mistake


def _failure(error: BaseException) -> str:
    """Say in words what failed."""
    name, text = type(error).__name__, str(error)
    if isinstance(error, OutOfMemoryError) or any(word in text for word in _MEMORY_WORDS):
        return f"a worker was killed for want of memory; {_LOWER}"
    if isinstance(error, OutOfDiskError):
        return "a node's disk is full; make room there"
    if isinstance(error, ObjectStoreFullError):
        return f"Ray's object store is full; {_LOWER}"
    if is_death(error):
        return f"a worker died ({name}), often for want of memory; {_LOWER}"
    return f"Ray failed ({name})"
