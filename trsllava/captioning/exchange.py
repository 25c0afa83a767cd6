"""One exchange with a server: a reply, or what went wrong in a word."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from trsllava.captioning import bodies
from trsllava.captioning.address import Address
from trsllava.captioning.captioner import CaptionerUnavailable
from trsllava.captioning.dialogue import Reply
from trsllava.captioning.retry_after import retry_after
from trsllava.captioning.trouble import Trouble
from trsllava.errors import UsageError
from trsllava.untrusted import printable

if TYPE_CHECKING:
    import openai

KEY_VARIABLE = "OPENAI_API_KEY"
# Local servers want some key and look at none.
_NO_KEY = "none"
# Shorter ones are no secrets but words like EMPTY, which a reply may hold by chance.
_SHORTEST_SECRET = 8
_RAW = 64 * 1024
_QUOTED = 300
_UNREADY = (408, 409, 425, 502, 503, 504, 529)
_NO_MODEL = re.compile(r"\bmodel\b.{0,200}(?:not found|does not exist|not exist)", re.DOTALL)
# Some answer so for a response format that they do not know.
_FORM = re.compile(r"format|schema", re.IGNORECASE)
_TOO_LARGE = re.compile(r"request (?:is )?too large", re.IGNORECASE)
_THOUGHTS = ("reasoning_content", "reasoning", "thinking")


class Seconds(NamedTuple):
    """How long each phase of an exchange may take."""

    connect: float = 10.0
    write: float = 60.0
    read: float = 600.0
    total: float = 1800.0
    models: float = 10.0


SECONDS = Seconds()


class Server:
    """An open connection to a server."""

    def __init__(self, address: Address, model: str, client: "openai.AsyncOpenAI") -> None:
        """Hold what `open_server` opened."""
        self.address, self.model = address, model
        self._client = client
        key = client.api_key
        self._secret = key if len(key) >= _SHORTEST_SECRET else None

    async def ask(self, uri: str, prompt: str, parameters: Mapping[str, Any]) -> Reply:
        """Show a picture; raises `Trouble`, and `CaptionerUnavailable` if no request can work."""
        content = [
            {"type": "image_url", "image_url": {"url": uri}},
            {"type": "text", "text": prompt},
        ]
        # As extra body they are sent as they are, not walked through key by key.
        body = {"messages": [{"role": "user", "content": content}], **parameters}
        create = self._client.chat.completions.with_raw_response.create
        try:
            raw = await self._send(
                create(model=self.model, messages=[], extra_body=body), SECONDS.total
            )
            return self._reply(raw)
        except Trouble as trouble:
            if trouble.kind != "nomodel":
                raise
            detail = str(trouble)
        raise CaptionerUnavailable(
            f"the server at {self.address.url} has no model {self.model!r} ({detail}); "
            f"it has: {await self._known_models()}"
        )

    async def models(self) -> list[str]:
        """Return the names of the server's models; raises `Trouble`."""
        raw = await self._send(self._client.models.with_raw_response.list(), SECONDS.models)
        body = bodies.decoded(raw)
        listed = body.get("data") if isinstance(body, dict) else None
        if not isinstance(listed, list):
            raise Trouble("garbage", "its list of models is none", raw=self._text(raw))
        return [str(entry.get("id")) for entry in listed if isinstance(entry, dict)]

    async def _known_models(self) -> str:
        try:
            names = await self.models()
        except Trouble as trouble:
            return f"unknown ({trouble})"
        return ", ".join(self._quote(name) for name in names[:20]) or "none"

    async def _send(self, call: Awaitable[Any], seconds: float) -> bytes:
        """Return the body of an answer."""
        import openai

        refusal = None
        try:
            async with asyncio.timeout(seconds):
                return bytes((await call).content)
        except TimeoutError:
            trouble = Trouble("silent", f"no answer within {seconds:.0f} s")
        except openai.APIStatusError as error:
            refusal = error.response
        except openai.APIConnectionError as error:
            trouble = self._connection(error)
        # Not from the lower error: its words, which a traceback shows, may hold the key.
        if refusal is not None:
            text = self._text(refusal.content)
            trouble = self._status(refusal.status_code, text, refusal.headers)
        raise trouble

    def _status(self, status: int, text: str, headers: Mapping[str, str]) -> Trouble:
        """Say what an error of the server means.

        Raises `CaptionerUnavailable` where no other request would fare better.
        """
        message, code = bodies.error_message(text)
        said = f"{status}: {self._quote(message)}" if message else str(status)
        if status in (400, 404) and (code == "model_not_found" or _NO_MODEL.search(message)):
            return Trouble("nomodel", said)
        unavailable = self._unavailable(status, code, said, headers)
        if unavailable is not None:
            raise unavailable
        if status == 429 and not _TOO_LARGE.search(message):
            kind = "busy"
        elif status in _UNREADY:
            kind = "unready"
        elif status >= 500 and status != 501:
            kind = "error"
        else:
            kind = "refused"
        return Trouble(kind, said, raw=text, wait=retry_after(headers))

    def _unavailable(
        self, status: int, code: str, said: str, headers: Mapping[str, str]
    ) -> CaptionerUnavailable | None:
        where = f"the server at {self.address.url}"
        if status in (401, 403):
            had = "refuses the key" if os.environ.get(KEY_VARIABLE) else "wants a key"
            return CaptionerUnavailable(
                f"{where} {had} ({said}); set the environment variable {KEY_VARIABLE}"
            )
        if status == 402 or code in ("insufficient_quota", "billing_hard_limit_reached"):
            return CaptionerUnavailable(f"{where} wants to be paid first ({said})")
        if status in (404, 405) and not _FORM.search(said):
            return CaptionerUnavailable(
                f"{where} has no chat completions there ({said}); --base-url mostly ends with /v1"
            )
        if 300 <= status < 400:
            aim = self._quote(headers.get("location", "elsewhere"))
            return CaptionerUnavailable(
                f"{where} sends on to {aim}; pictures are not sent there unless --base-url says so"
            )
        return None

    def _reply(self, raw: bytes) -> Reply:
        """Read a completion."""
        body = bodies.decoded(raw)
        text = self._text(raw)
        if isinstance(body, dict) and body.get("error") and not body.get("choices"):
            message, code = bodies.error_message(text)
            if code.isdigit() and 400 <= int(code) < 600:  # some gateways hide the status so
                raise self._status(int(code), text, {})
            raise Trouble("garbage", f"an error came as a reply: {self._quote(message)}", raw=text)
        try:
            choice = body["choices"][0]
            message = choice["message"]
            found = message.get("content") or ""
            if not isinstance(found, str):
                found = "".join(part.get("text") or "" for part in found)
            refusal = message.get("refusal")
            thought = any(message.get(name) for name in _THOUGHTS)
        except (TypeError, LookupError, AttributeError):
            raise Trouble(
                "garbage", f"no reply but {bodies.what_came(raw)} came", raw=text
            ) from None
        finish = choice.get("finish_reason")
        if finish == "content_filter" and not refusal:
            refusal = found or "the server's content filter stopped the reply"
        return Reply(
            text=self._scrub(found),
            cut=finish == "length",
            thought=thought,
            refusal=self._scrub(refusal) if isinstance(refusal, str) else "",
            usage=bodies.usage_of(body.get("usage")),
        )

    def _connection(self, error: Exception) -> Trouble:
        """Say what an exchange without an answer means."""
        cause = error.__cause__
        if isinstance(cause, Trouble):
            return cause
        name = type(cause).__name__
        if name in ("ReadTimeout", "WriteTimeout"):
            return Trouble("silent", f"no answer within {SECONDS.read:.0f} s")
        if name in ("ReadError", "WriteError", "CloseError", "RemoteProtocolError", "EndOfStream"):
            return Trouble("broken", "the connection broke in the middle")
        why = "" if cause is None else self._quote(str(cause))
        return Trouble("absent", f"no connection ({why or name})")

    def _scrub(self, text: str) -> str:
        """Take out the key, which a server may echo."""
        return text if self._secret is None else text.replace(self._secret, "***")

    def _text(self, raw: bytes) -> str:
        return self._scrub(raw.decode("utf-8", "replace"))[:_RAW]

    def _quote(self, text: str) -> str:
        """Return words of the server for a message of one line."""
        text = printable(" ".join(self._scrub(text).split()))
        return text if len(text) <= _QUOTED else text[:_QUOTED] + "..."


@asynccontextmanager
async def open_server(address: Address, model: str) -> AsyncIterator[Server]:
    """Open a server; the key comes from the environment.

    Raises `UsageError` if the key cannot be one.
    """
    import openai

    key = os.environ.get(KEY_VARIABLE, "").strip() or _NO_KEY
    if not (key.isascii() and key.isprintable()):
        raise UsageError(f"the environment variable {KEY_VARIABLE} does not hold a key")
    client = openai.AsyncOpenAI(
        api_key=key,
        base_url=address.url,
        max_retries=0,
        timeout=openai.Timeout(
            connect=SECONDS.connect, write=SECONDS.write, read=SECONDS.read, pool=SECONDS.total
        ),
        default_headers={"Accept-Encoding": "identity"},
        http_client=openai.DefaultAsyncHttpxClient(
            # A proxy for the world outside would take local requests there.
            trust_env=not address.is_here,
            follow_redirects=False,
            event_hooks={"response": [bodies.read_bounded]},
            # Servers close idle connections after some seconds; a request must not meet that.
            limits=bodies.http_library().Limits(keepalive_expiry=2.0),
        ),
    )
    async with client:
        yield Server(address, model, client)
