"""Items made ready by a thread: order, errors, bounds, and an end without a leak."""

import itertools
import threading
import time

import pytest

from trsllava.images.prefetch import prefetch


def threads():
    return [t for t in threading.enumerate() if t.name == "trsllava-prefetch"]


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    yield
    assert not threads()


@pytest.mark.parametrize("ahead", [1, 3, 1000])
def test_items_come_in_order_and_all(ahead):
    assert list(prefetch(iter(range(500)), ahead)) == list(range(500))
    assert list(prefetch(iter(()), ahead)) == []


def test_an_error_comes_after_what_was_before_it_with_its_own_traceback():
    def items():
        yield from range(5)
        raise KeyError("the sixth")

    seen = []

    def consume():
        for item in prefetch(items(), 3):
            time.sleep(0.005)
            seen.append(item)

    with pytest.raises(KeyError, match="the sixth") as caught:
        consume()
    assert seen == [0, 1, 2, 3, 4]
    assert caught.traceback[-1].name == "items"


def test_no_more_than_asked_for_is_taken_ahead():
    taken = []

    def items():
        for number in itertools.count():
            taken.append(number)
            yield number

    stream = prefetch(items(), 4)
    assert next(stream) == 0
    deadline = time.monotonic() + 5
    while len(taken) < 5 and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.05)
    assert len(taken) == 5  # the one given out and four that wait
    stream.close()


def test_work_goes_on_while_the_consumer_works():
    def slow():
        for number in range(10):
            time.sleep(0.02)
            yield number

    started = time.perf_counter()
    for _ in prefetch(slow(), 2):
        time.sleep(0.02)
    assert time.perf_counter() - started < 0.36  # 0.4 one after the other


def test_closing_stops_the_thread_and_closes_the_items():
    closed = threading.Event()

    def items():
        try:
            yield from itertools.count()
        finally:
            closed.set()

    stream = prefetch(items(), 2)
    assert [next(stream), next(stream)] == [0, 1]
    started = time.perf_counter()
    stream.close()
    assert time.perf_counter() - started < 0.5
    assert closed.is_set()
    assert not threads()


def test_an_error_in_the_consumer_stops_the_thread():
    def consume():
        for item in prefetch(itertools.count(), 2):
            if item == 3:
                raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        consume()


def test_nothing_is_started_before_the_first_item_is_asked_for():
    stream = prefetch(iter([1]), 1)
    assert not threads()
    assert next(stream) == 1
    stream.close()
