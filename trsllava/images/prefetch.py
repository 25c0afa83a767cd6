"""Work done ahead: a thread decodes the next pictures while a model looks at the last ones."""

from collections import deque
from collections.abc import Generator, Iterator
from threading import Condition, Thread
from typing import TypeVar

T = TypeVar("T")


def prefetch(items: Iterator[T], ahead: int) -> Generator[T, None, None]:
    """Yield the items in order while a thread keeps the next ones ready.

    An error of ``items`` is raised after what came before it. Closing this generator stops the
    thread (it finishes the item that it is at), then closes ``items``.

    Parameters
    ----------
    items
        What to take items from; only the thread runs it.
    ahead
        How many items may wait, at least 1.

    Yields
    ------
    T
        The same items.
    """
    ready: deque[T] = deque()
    failure: list[BaseException] = []
    changed = Condition()
    stopped = ended = False

    def produce() -> None:
        nonlocal ended
        try:
            while True:
                with changed:
                    changed.wait_for(lambda: stopped or len(ready) < ahead)
                    if stopped:
                        return
                item = next(items)
                with changed:
                    ready.append(item)
                    changed.notify_all()
        except StopIteration:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again at the consumer
            failure.append(error)
        finally:
            with changed:
                ended = True
                changed.notify_all()

    thread = Thread(target=produce, name="trsllava-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            with changed:
                changed.wait_for(lambda: ready or ended)
                if not ready:
                    break
                item = ready.popleft()
                changed.notify_all()
            yield item
        if failure:
            raise failure[0]
    finally:
        with changed:
            stopped = True
            changed.notify_all()
        thread.join()
        close = getattr(items, "close", None)
        if close is not None:
            close()


__all__ = ["prefetch"]
