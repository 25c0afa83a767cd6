"""An event loop in a thread, from which results come back as they are ready."""

import asyncio
import queue
import threading
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Generic, TypeVar

T = TypeVar("T")
Work = Callable[[str, str], Awaitable[T]]


class Background(Generic[T]):
    """Runs tasks of two texts on a loop of its own, for one other thread.

    ``busy`` counts the tasks whose result has not been fetched.
    """

    def __init__(self, opening: Callable[[], AbstractAsyncContextManager[Work[T]]]) -> None:
        """Start the thread.

        Parameters
        ----------
        opening
            What the tasks need: entered on the loop before the first and left after the last;
            it gives the function that does one.
        """
        self.busy = 0
        self._opening = opening
        self._loop = asyncio.new_event_loop()
        self._inbox: asyncio.Queue[tuple[str, str] | None] = asyncio.Queue()
        self._results: queue.SimpleQueue[T | BaseException] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="trsllava-requests", daemon=True)
        self._thread.start()

    def submit(self, first: str, second: str) -> None:
        """Begin a task."""
        self.busy += 1
        self._send((first, second))

    def result(self, *, wait: bool) -> T | None:
        """Return the next result, None if there is none yet; raises what a task raised."""
        try:
            result = self._results.get(block=wait)
        except queue.Empty:
            return None
        if isinstance(result, BaseException):
            raise result
        self.busy -= 1
        return result

    def close(self) -> None:
        """Cancel what is in flight and end the thread."""
        self._send(None)
        self._thread.join()

    def _send(self, job: tuple[str, str] | None) -> None:
        with suppress(RuntimeError):  # the loop has ended with an error, which is a result
            self._loop.call_soon_threadsafe(self._inbox.put_nowait, job)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - raised again at the other thread
            self._results.put(error)

    async def _serve(self) -> None:
        tasks: set[asyncio.Task[None]] = set()
        async with self._opening() as work:
            while (job := await self._inbox.get()) is not None:
                task = asyncio.create_task(self._do(work, *job))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            while tasks:  # again and again: a library may swallow a cancellation
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks, timeout=1.0)

    async def _do(self, work: Work[T], first: str, second: str) -> None:
        try:
            self._results.put(await work(first, second))
        except Exception as error:  # noqa: BLE001 - raised again at the other thread
            self._results.put(error)
