"""What a server's context leaves for the answer, as its refusal says."""

import re

_CONTEXT = re.compile(r"context (?:length|size|window)\D{0,40}?(\d{3,9})\b", re.IGNORECASE)
_INPUT = re.compile(
    r"\b(\d{1,9}) (?:input tokens|prompt tokens|in the messages|tokens from the input)",
    re.IGNORECASE,
)
# Less than this holds no record.
_LEAST = 64


def room_left(message: str) -> int | None:
    """Return how many new tokens fit, None if the message is about something else.

    The words are those of vLLM and of the OpenAI service: ``maximum context length is 4096
    tokens ... your request has 1200 input tokens``, ``(1200 in the messages, ...)``.
    """
    context, given = _CONTEXT.search(message), _INPUT.search(message)
    if context is None or given is None:
        return None
    room = int(context[1]) - int(given[1])
    return room if room >= _LEAST else None
