"""Telling how a job goes: one line that moves on a terminal, a line now and then elsewhere."""

import sys
import threading
import time
from typing import TextIO

from trsllava.jobs.job import Tally

_TERMINAL_SECONDS = 0.5
_PLAIN_SECONDS = 30.0


class Progress:
    """Adds up what workers report and tells it; may be called from several threads."""

    def __init__(
        self,
        todo: int,
        price: tuple[float, float] | None,
        limit: int | None = None,
        out: TextIO | None = None,
    ) -> None:
        """Start the clock.

        Parameters
        ----------
        todo
            How many images wait.
        price
            What a million tokens cost, in and out.
        limit
            How many images are looked at, at most; None for all.
        out
            Where to tell; stderr unless given.
        """
        self.tally = Tally()
        self._todo, self._price, self._limit = todo, price, limit
        self._out = out or sys.stderr
        self._moving = self._out.isatty()
        self._lock = threading.Lock()
        self._began = self._told = time.monotonic()

    def report(self, news: Tally) -> None:
        """Take in what a worker has counted, and tell it when it is time."""
        with self._lock:
            self.tally.add(news)
            now = time.monotonic()
            if now - self._told >= (_TERMINAL_SECONDS if self._moving else _PLAIN_SECONDS):
                self._told = now
                self._write(self.line())

    @property
    def cost(self) -> float:
        """What the tokens so far cost."""
        return self.tally.cost(self._price) if self._price else 0.0

    def line(self) -> str:
        """Return how far the job is."""
        tally, seconds = self.tally, max(time.monotonic() - self._began, 1e-6)
        rate = tally.images / seconds
        todo = self._todo - tally.adopted
        if self._limit is not None:
            # Those done before, and further names of the same bytes, cost nothing of a limit.
            todo = min(todo, max(self._limit, tally.images))
        left = max(0, todo - tally.images)
        parts = [f"{tally.images} of {todo} images", f"{rate:.1f}/s"]
        if tally.adopted:
            parts.append(f"{tally.adopted} more were done before")
        if rate and left:
            parts.append(f"{_duration(left / rate)} to go")
        if tally.quarantined:
            parts.append(f"{tally.quarantined} quarantined")
        if tally.calls:
            parts.append(
                f"{tally.calls} calls, {tally.prompt_tokens} + {tally.completion_tokens} tokens"
            )
        if self._price:
            parts.append(f"cost {self.cost:.2f}")
        return ", ".join(parts)

    def close(self) -> None:
        """Tell how it ended."""
        with self._lock:
            if self.tally.images:
                self._write(self.line())
            if self._moving:
                self._out.write("\n")

    def _write(self, line: str) -> None:
        self._out.write(f"\r\x1b[K{line}" if self._moving else f"{line}\n")
        self._out.flush()


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
