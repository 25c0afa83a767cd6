"""A stub of an OpenAI-compatible server whose records name the colour of the picture it saw.

In a test, in this process::

    with StubServer("busy:3") as server:
        captioner = ServedCaptioner(model="stub", base_url=server.address)
        ...
    assert [call["status"] for call in server.calls][:3] == [429, 429, 429]

Or as a process of its own, which prints its address: ``python -m trsllava.testing.server --mode ok
--delay 2 --log calls.jsonl``. `trsllava.testing.answers` has the modes.
"""

import argparse
import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from trsllava.testing.answers import MODES, Answer, Effect, answering
from trsllava.testing.asked import Asked, read_asked

_PIECE = b"x" * 65536
_HUGE = 1 << 30


class StubServer:
    """A server on 127.0.0.1 in a thread of its own; a context manager.

    ``calls`` holds one entry a request for a record, as it came in; ``sent`` counts the bytes of
    bodies that went out. ``mode`` may be changed while it runs.
    """

    def __init__(
        self,
        mode: str | Callable[[Asked], Answer] = "ok",
        *,
        delay: float = 0.0,
        port: int = 0,
        log: Path | None = None,
        revive: float | None = None,
    ) -> None:
        """Say how it answers.

        Parameters
        ----------
        mode
            One of ``MODES``, with an argument after a colon where it takes one, or a function.
        delay
            Seconds that each record takes.
        port
            Where to listen; 0 finds a free one.
        log
            A file that gets every call as a line of JSON.
        revive
            Seconds after which it is back when a mode has killed it; None for never.
        """
        self.mode = mode
        self.calls: list[dict[str, Any]] = []
        self.deaths = self.running = self.sent = 0
        self._delay, self._port, self._revive = delay, port, revive
        self._path, self._log = log, None if log is None else log.open("a", encoding="utf-8")
        self._last: Asked | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="stub-server", daemon=True)
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """What to give as ``base_url``."""
        return f"http://127.0.0.1:{self._port}/v1"

    def __enter__(self) -> Self:
        """Start to listen."""
        self._thread.start()
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End, cutting what is in flight."""
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        if self._log is not None:
            self._log.close()

    def start(self) -> None:
        """Listen again, on the same port."""
        self._call(self._listen())

    def stop(self) -> None:
        """Die: listen no more and cut every connection."""
        self._call(self._die())

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _call(self, coroutine: Any) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(
                self._serve, "127.0.0.1", self._port, limit=1 << 20, backlog=1024
            )
            self._port = self._server.sockets[0].getsockname()[1]

    async def _die(self) -> None:
        self.deaths += 1
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._connections):
            writer.transport.abort()
        if self._revive is not None:
            self._loop.call_later(self._revive, self._come_back)

    async def _end(self) -> None:
        self._revive = None
        await self._die()
        for _ in range(5):  # connections that were just accepted begin
            await asyncio.sleep(0)
        while tasks := self._tasks - {asyncio.current_task()}:
            for writer in list(self._connections):
                writer.transport.abort()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=1.0)

    def _come_back(self) -> None:
        task = self._loop.create_task(self._listen())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._connections.add(writer)
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the other side has gone, or this one ends
        finally:
            writer.close()
            with suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()
            self._connections.discard(writer)
            self._tasks.discard(task)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether the connection stays."""
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ", 2)
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines if line)
        }
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if method == "POST" and path == "/v1/chat/completions":
            return await self._complete(body, headers, writer)
        mode = self.mode if isinstance(self.mode, str) else "ok"
        if mode == "html":
            return await self._send(writer, Answer("<html>nothing here</html>"))
        if path == "/v1/models":
            models = {"object": "list", "data": [{"id": "stub", "object": "model"}]}
            return await self._send(writer, Answer(models))
        return await self._send(writer, Answer({"error": {"message": "no such page"}}, 404))

    async def _complete(
        self, body: bytes, headers: dict[str, str], writer: asyncio.StreamWriter
    ) -> bool:
        """Answer a request for a record."""
        self.running += 1
        try:
            asked = read_asked(body, headers, len(self.calls) + 1, self._last)
            self._last = replace(asked, last=None)  # not all that came before
            entry = asked.entry() | {"t": time.time(), "running": self.running}
            self.calls.append(entry)
            answer = (answering(self.mode) if isinstance(self.mode, str) else self.mode)(asked)
            entry["status"] = answer.status
            if self._log is not None:
                self._log.write(json.dumps(entry) + "\n")
                self._log.flush()
            if self._delay + answer.delay:
                await asyncio.sleep(self._delay + answer.delay)
            return await self._send(writer, answer)
        finally:
            self.running -= 1

    async def _send(self, writer: asyncio.StreamWriter, answer: Answer) -> bool:
        """Send an answer, or do what it does instead; return whether the connection stays."""
        if answer.effect is Effect.DIE:
            await self._die()
            return False
        if answer.effect is Effect.SILENT:
            await asyncio.sleep(3600)
        raw = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
        body = raw.encode("utf-8", "surrogatepass")
        length = _HUGE if answer.effect is Effect.HUGE else len(body)
        fields = {
            "content-type": "application/json",
            "content-length": str(length),
            **answer.headers,
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        head = f"HTTP/1.1 {answer.status} Stub\r\n{lines}\r\n".encode("latin-1")
        if answer.effect is Effect.BREAK:
            writer.write(head + body[: len(body) // 2])
            await writer.drain()
            return False
        writer.write(head + body)
        self.sent += len(body)
        await writer.drain()
        while answer.effect is Effect.HUGE:
            writer.write(_PIECE)
            self.sent += len(_PIECE)
            await writer.drain()
        return True


def main(arguments: list[str] | None = None, out: IO[str] | None = None) -> None:
    """Serve until killed; the first line printed is the address."""
    parser = argparse.ArgumentParser(prog="python -m trsllava.testing.server")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--mode", default="ok", help=", ".join(MODES))
    parser.add_argument("--delay", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--log", type=Path, metavar="FILE")
    parser.add_argument("--revive", type=float, metavar="SECONDS")
    given = parser.parse_args(arguments)
    answering(given.mode)
    with StubServer(
        given.mode, delay=given.delay, port=given.port, log=given.log, revive=given.revive
    ) as server:
        print(server.address, file=out or sys.stdout, flush=True)
        with suppress(KeyboardInterrupt):
            while server.deaths == 0 or given.revive is not None:
                time.sleep(0.05)


if __name__ == "__main__":
    main()
