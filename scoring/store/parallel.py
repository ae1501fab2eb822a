"""Many requests to object storage at once: each spends tens of milliseconds waiting."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_AT_ONCE = 16

Item = TypeVar("Item")
Made = TypeVar("Made")


def in_parallel(
    function: Callable[[Item], Made], items: Iterable[Item], at_once: int = _AT_ONCE
) -> Iterator[Made]:
    """Yield `function` of every item, in order, from `at_once` threads.

    Lazy: nothing starts before the first result is requested, and at most `at_once` items are in
    work or waiting to be yielded.
    """
    if at_once == 1:  # a second thread would cost more than it saves
        yield from map(function, items)
        return
    with ThreadPoolExecutor(at_once) as pool:
        started: deque[Future[Made]] = deque()
        for item in items:
            started.append(pool.submit(function, item))
            if len(started) == at_once:
                yield started.popleft().result()
        while started:
            yield started.popleft().result()


def do_in_parallel(function: Callable[[Item], object], items: Iterable[Item]) -> None:
    """Call `function` on every item, in parallel."""
    for _ in in_parallel(function, items):
        pass
