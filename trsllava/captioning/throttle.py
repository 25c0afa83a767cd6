"""How many requests run at a time, and how long a server in trouble is waited for."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from trsllava.captioning.captioner import CaptionerUnavailable

log = logging.getLogger(__name__)

# A server that was never there is likelier a wrong address than one that will come.
FIRST_CONTACT_SECONDS = 10.0
_FIRST_DELAY = 0.25
_LONGEST_DELAY = 15.0


class Throttle:
    """Lets at most ``limit`` requests run.

    The limit is halved when the server is overloaded and grows by one for every round of
    successes, up to where it began.
    """

    def __init__(self, limit: int) -> None:
        """Begin with the highest limit."""
        self.limit = self._most = limit
        self._running = self._successes = self._lonely = 0
        self._cut_at = self._opens_at = 0.0
        self._one = asyncio.Lock()
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a free slot and hold it."""
        while True:
            await self._until(lambda: not self._lonely and self._running < self.limit)
            if self._opens_at <= time.monotonic():
                break
            await self.unpaused()
        async with self._counted():
            yield

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Wait until nothing else runs, and let nothing else begin."""
        self._lonely += 1
        try:
            async with self._one:
                await self._until(lambda: not self._running)
                async with self._counted():
                    yield
        finally:
            self._lonely -= 1
            self._changed.set()

    def succeeded(self) -> None:
        """Take note of an answer."""
        self._successes += 1
        if self.limit < self._most and self._successes >= self.limit:
            self.limit, self._successes = self.limit + 1, 0
            self._changed.set()

    def cut(self, sent: float) -> None:
        """Halve the limit because a request sent then met an overloaded server.

        Requests of one round are refused together; only the first of them counts.
        """
        if sent >= self._cut_at:
            self.limit, self._successes = max(1, self.limit // 2), 0
            self._cut_at = time.monotonic()

    def pause(self, seconds: float) -> None:
        """Let nothing be sent for a while."""
        self._opens_at = max(self._opens_at, time.monotonic() + seconds)

    async def unpaused(self) -> None:
        """Wait for the end of every pause."""
        while (pause := self._opens_at - time.monotonic()) > 0:
            await asyncio.sleep(pause)

    @asynccontextmanager
    async def _counted(self) -> AsyncIterator[None]:
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1
            self._changed.set()

    async def _until(self, ready: Callable[[], bool]) -> None:
        while not ready():
            self._changed.clear()
            await self._changed.wait()


class Patience:
    """Waits for a server in trouble, ever longer, until the budget is spent.

    The budget counts from the first trouble after the last answer. ``met`` says whether there was
    ever a server, ``answered`` whether it ever gave a reply.
    """

    def __init__(self, url: str, budget: float) -> None:
        """Begin without trouble.

        Parameters
        ----------
        url
            The server's address, as it is shown.
        budget
            Seconds of trouble without an answer that are borne.
        """
        self.answered = self.met = False
        self._url, self._budget = url, budget
        self._since: float | None = None

    def relieve(self) -> None:
        """Take note of an answer."""
        self.answered, self.met, self._since = True, True, None

    async def wait(
        self, detail: str, tries: int, *, at_least: float = 0.0, absent: bool = False
    ) -> None:
        """Wait before the next try.

        Parameters
        ----------
        detail
            What is wrong, for the log and the error.
        tries
            How many have failed so far, at least 1.
        at_least
            Seconds that the server asks for.
        absent
            Whether there seems to be no server at all.

        Raises
        ------
        CaptionerUnavailable
            If the budget is spent, or the server asks for more than is left of it.
        """
        now = time.monotonic()
        if self._since is None:
            self._since = now
            log.warning("the server at %s: %s; waiting for it", self._url, detail)
        budget = (
            self._budget if self.met or not absent else min(self._budget, FIRST_CONTACT_SECONDS)
        )
        left = self._since + budget - now
        if left <= 0 or at_least > left:
            remedy = "is it running, and is --base-url right?" if absent else "look at its log"
            asked = f"it asks for {at_least:.0f} s more, " if at_least > max(left, 0) else ""
            raise CaptionerUnavailable(
                f"the server at {self._url} does not answer: {detail} ({asked}waited "
                f"{now - self._since:.0f} of {budget:.0f} s); {remedy}"
            )
        longest = min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** min(tries, 10))
        delay = longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads the next tries
        await asyncio.sleep(min(max(at_least, delay), left))
