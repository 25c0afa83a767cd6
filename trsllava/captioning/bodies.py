"""Bodies of answers: read within bounds, and told apart."""

import importlib
import json
from typing import Any

from trsllava.captioning.captioner import Usage
from trsllava.captioning.trouble import Trouble

_LARGEST = 8 * 1024 * 1024
_MOST_TOKENS = 1 << 31


async def read_bounded(response: Any) -> None:
    """Read the body, but never more of it than a reply can have."""
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise Trouble("garbage", "a compressed reply came, though none was asked for")
    pieces, size, stream = [], 0, response.stream
    async for piece in stream:
        size += len(piece)
        if size > _LARGEST:
            raise Trouble("garbage", f"a reply of more than {_LARGEST >> 20} MiB came")
        pieces.append(piece)
    await stream.aclose()
    response.stream = http_library().ByteStream(b"".join(pieces))


def http_library() -> Any:
    """Return the HTTP library below openai: which one depends on its version."""
    import openai

    client = openai.DefaultAsyncHttpxClient.__mro__[1]
    return importlib.import_module(client.__module__.partition(".")[0])


def decoded(raw: bytes) -> Any:
    """Return the JSON value, None if it is none."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def error_message(text: str) -> tuple[str, str]:
    """Return the words and the code of an error, in whatever form it came."""
    body = decoded(text.encode("utf-8", "replace"))
    if not isinstance(body, dict):
        return ("an HTML page" if text.lstrip()[:1] == "<" else text), ""
    inner = body.get("error", body)
    if not isinstance(inner, dict):
        return str(inner), ""
    found = inner.get("message") or inner.get("detail") or inner
    message = found if isinstance(found, str) else json.dumps(found)
    return message, str(inner.get("code") or "")


def what_came(raw: bytes) -> str:
    """Say what kind of body came instead of a reply."""
    start = raw.lstrip()[:1]
    if not start:
        return "nothing"
    if start == b"<":
        return "an HTML page"
    if start in b"{[":
        return "other JSON" if decoded(raw) is not None else "broken JSON"
    return "other text"


def usage_of(found: Any) -> Usage:
    """Return the counts of one call; those that are missing or odd are 0."""
    counts = []
    for name in ("prompt_tokens", "completion_tokens"):
        value = found.get(name) if isinstance(found, dict) else None
        counts.append(value if type(value) is int and 0 <= value <= _MOST_TOKENS else 0)
    return Usage(counts[0], counts[1], 1)
