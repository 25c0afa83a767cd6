"""How a stub server answers: modes from good to hostile."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import lru_cache
from typing import Any

from trsllava.errors import UsageError
from trsllava.testing.asked import Asked
from trsllava.testing.captioners import COLOURS, describe


class Effect(Enum):
    """What happens on the wire beside or instead of an answer."""

    SEND = "the whole answer is sent"
    BREAK = "half of the body is sent, then the connection closed"
    HUGE = "a gigabyte follows"
    SILENT = "nothing is sent for an hour"
    DIE = "the server dies"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server says: the body as JSON or as it stands."""

    body: Any = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    effect: Effect = Effect.SEND


def completion(
    content: Any,
    *,
    finish: str = "stop",
    usage: tuple[int, int] = (300, 200),
    **message: Any,
) -> Answer:
    """Return an answer of the usual form; ``message`` holds further keys of the message."""
    return Answer(
        {
            "id": "stub",
            "object": "chat.completion",
            "model": "stub",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": finish,
                    "message": {"role": "assistant", "content": content, **message},
                }
            ],
            "usage": {
                "prompt_tokens": usage[0],
                "completion_tokens": usage[1],
                "total_tokens": sum(usage),
            },
        }
    )


def error(status: int, message: str, **headers: str) -> Answer:
    """Return an error of the usual form."""
    return Answer(
        {"error": {"message": message, "type": "stub", "code": status}},
        status,
        {name.replace("_", "-"): value for name, value in headers.items()},
    )


def record(asked: Asked) -> str:
    """Return the record of a picture as JSON: the same for the same picture."""
    return _record(asked.mean) if asked.mean else json.dumps({"variants": []})


@lru_cache(maxsize=4096)
def _record(mean: tuple[int, ...]) -> str:
    from PIL import Image

    variants = describe(Image.new("RGB", (1, 1), mean))
    return json.dumps(
        {
            "variants": [
                {"one_sentence": v.one_sentence, "feature": v.feature, "caption": v.caption}
                for v in variants
            ]
        }
    )


def good(asked: Asked) -> Answer:
    """Answer with the record of the picture."""
    return completion(record(asked))


_REFUSED_FORM = "'response_format.type' must be 'json_schema' or 'text'"
_Mode = Callable[[Asked, str], Answer]


def _text(change: Callable[[str], str | None], **how: Any) -> _Mode:
    """Make a mode that changes the text of a good answer."""
    return lambda asked, _: completion(change(record(asked)), **how)


def _first(answer: Answer) -> _Mode:
    """Make a mode whose first N requests get another answer."""
    return lambda asked, n: answer if asked.number <= int(n or 3) else good(asked)


def _coloured(answer: Answer) -> _Mode:
    """Make a mode in which pictures of one colour (all without one) get another answer."""
    return lambda asked, colour: answer if colour in ("", asked.colour) else good(asked)


def _when(condition: Callable[[Asked], bool], answer: Answer) -> _Mode:
    return lambda asked, _: answer if condition(asked) else good(asked)


def _thin(text: str) -> str:
    return json.dumps({"variants": json.loads(text)["variants"][:2]})


def _limits(asked: Asked) -> bool:
    return "maxLength" in json.dumps(asked.body.get("response_format"))


def _echo(asked: Asked, _: str) -> Answer:
    return error(400, f"bad request with the key {asked.headers.get('authorization')}")


def _swap(asked: Asked, _: str) -> Answer:
    return good(asked if asked.last is None else asked.last)


def _fixed(asked: Asked, colour: str) -> Answer:
    return good(replace(asked, mean=COLOURS[colour or "green"]))


MODES: Mapping[str, _Mode] = {
    # Good records, wrapped or not.
    "ok": lambda asked, _: good(asked),
    "slow": lambda asked, seconds: replace(good(asked), delay=float(seconds or 3)),
    "fence": _text(lambda text: f"```json\n{text}\n```"),
    "preamble": _text(lambda text: f"Sure! Here is the JSON that you asked for:\n\n{text}"),
    "think": _text(lambda text: f'<think>Let me see. {{"variants": []}} ...</think>\n{text}'),
    # Texts that are no records.
    "length": _text(lambda text: text[: len(text) // 2], finish="length"),
    "blank": _text(lambda text: text[:20] + "\n" * 3000, finish="length"),
    "loop": _text(lambda text: text.replace("plain", "plain " * 400)),
    "empty": _text(lambda _: ""),
    "null": _text(lambda _: None),
    "prose": _text(lambda _: "The image shows fields and a road that runs from north to south."),
    "refuse": _text(lambda _: "I'm sorry, I can't help with this image."),
    "refusal": _text(lambda _: None, refusal="I can't help with that."),
    "filter": _text(lambda _: None, finish="content_filter"),
    "emptythink": _text(lambda _: "", finish="length", reasoning_content="The picture ... " * 50),
    "thin": _text(_thin),
    "context": _text(_thin, usage=(1000, 3096)),
    # Records of other pictures.
    "swap": _swap,
    "fixed": _fixed,
    # Forms and parameters that are refused.
    "noobject": _when(
        lambda asked: asked.form not in ("", "json_schema", "text"),
        Answer({"error": _REFUSED_FORM}, 400),
    ),
    "noforms": _when(lambda asked: asked.form != "", error(400, "response_format is unknown here")),
    "noforms-mute": _when(lambda asked: asked.form != "", error(400, "Bad Request")),
    "nolimits": _when(
        _limits, error(400, "Invalid schema for response_format: 'maxLength' is not permitted.")
    ),
    "newtokens": _when(
        lambda asked: "max_tokens" in asked.body,
        error(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."),
    ),
    "notemperature": _when(
        lambda asked: "temperature" in asked.body,
        error(400, "Unsupported value: 'temperature' does not support 0 with this model."),
    ),
    # Refusals and errors, of all or of one colour.
    "busy": _first(error(429, "slow down", retry_after="1")),
    "load": _first(error(503, "Loading model")),
    "unauthorized": _coloured(error(401, "Incorrect API key provided")),
    "forbidden": _coloured(error(403, "not for you")),
    "quota": _coloured(
        Answer({"error": {"message": "no money left", "code": "insufficient_quota"}}, 429)
    ),
    "nomodel": _coloured(error(404, "The model `other` does not exist.")),
    "reject": _coloured(error(400, "the image cannot be decoded")),
    "error": _coloured(error(500, "CUDA error: an illegal memory access was encountered")),
    "small": _when(
        lambda asked: min(asked.size) < 28, error(500, "height and width must be larger than 28")
    ),
    "echo": _echo,
    # What no client should have to expect.
    "html": _coloured(Answer("<html><body>Welcome to the hotel's network</body></html>")),
    "half": _coloured(Answer('{"id": "stub", "choices": [{"index": 0, "message": {"con')),
    "error200": _coloured(Answer({"error": {"message": "upstream said no"}})),
    "nochoices": _coloured(Answer({"id": "stub", "choices": []})),
    "huge": _coloured(Answer("", effect=Effect.HUGE)),
    "silent": _coloured(Answer("", effect=Effect.SILENT)),
    "break": _coloured(Answer(completion("x" * 1000).body, effect=Effect.BREAK)),
    "crash": _coloured(Answer("", effect=Effect.DIE)),
}


def answering(mode: str) -> Callable[[Asked], Answer]:
    """Return the function of a mode such as ``ok`` or ``crash:red``; `UsageError` if unknown."""
    name, _, argument = mode.partition(":")
    if name not in MODES:
        raise UsageError(f"the stub server has no mode {name!r}; it has {', '.join(MODES)}")
    return lambda asked: MODES[name](asked, argument)
