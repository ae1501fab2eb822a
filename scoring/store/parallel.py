"""Requests to object storage, many at a time: each takes tens of milliseconds of waiting."""

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
    """`function` of every item, in order; `at_once` threads work and as many results are held.

    Items are taken as there is room for them, and nothing begins before the first is asked for.
    """
    if at_once == 1:  # a thread beside one that only waits costs more than it does
        yield from map(function, items)
        return
    with ThreadPoolExecutor(at_once) as pool:
        begun: deque[Future[Made]] = deque()
        for item in items:
            begun.append(pool.submit(function, item))
            if len(begun) == at_once:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()


def do_in_parallel(function: Callable[[Item], object], items: Iterable[Item]) -> None:
    """`function` of every item, for what it does."""
    for _ in in_parallel(function, items):
        pass
