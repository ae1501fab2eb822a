import threading
import time

import pytest

from scoring.store.parallel import do_in_parallel, in_parallel


def test_results_come_in_order_and_few_are_held():
    begun, lock = [], threading.Lock()

    def late(item):
        with lock:
            begun.append(item)
        time.sleep(0.01 if item % 2 else 0)
        return item

    for taken, item in enumerate(in_parallel(late, range(100))):
        assert item == taken
        assert len(begun) <= taken + 17  # those asked for at once, and the next


def test_an_error_is_raised_in_its_turn():
    results = in_parallel(lambda item: 1 // item, [1, 0, 1])
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_items_are_made_while_earlier_ones_are_at_work():
    """A thread holds on to the first item until the last but one has been made."""
    made, last = [], threading.Event()

    def items():
        for item in range(8):
            made.append(item)
            if item == 7:
                last.set()
            yield item

    done = []
    do_in_parallel(lambda item: done.append((item, last.wait(10))), items())
    assert made == list(range(8))
    assert sorted(done) == [(item, True) for item in range(8)]
