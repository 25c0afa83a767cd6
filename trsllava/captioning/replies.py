"""What a model answered, read as five variants, however it was wrapped.

Strict JSON is tried first. Failing that, thinking is taken out and the last complete JSON value
that could be a record is looked for: in a fence, after a preface, before a farewell. Broken
JSON is never mended.
"""

import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from trsllava.errors import InputError
from trsllava.interchange.bodies import FIELD_KEYS, variants_of
from trsllava.records import VARIANTS, Variant

# Five variants at the longest, every character escaped, take a third of this.
_LARGEST = 256 * 1024
_ATTEMPTS = 200
_THINKING = re.compile(
    r"<(?P<close>/?)(?:think|thinking|thought|reasoning)>|\[(?P<end>/?)THINK\]", re.IGNORECASE
)
_UNFIT = re.compile("[\0\ud800-\udfff]")
# Where a record may start: an object anywhere, a bare list on a line of its own (the lists
# inside an object that is cut or broken are not taken for one).
_START = re.compile(r'\{\s*"|^[ \t]*(?=\[\s*\{)', re.MULTILINE)


class Unusable(InputError):
    """A reply that is no record; ``reason`` is one word, ``open`` says that its end is missing."""

    def __init__(self, reason: str, detail: str, *, open_end: bool = False) -> None:
        super().__init__(detail)
        self.reason = reason
        self.open_end = open_end


@dataclass(frozen=True, slots=True)
class Reading:
    """The variants of a reply, their white space collapsed.

    ``wrapped`` if more than bare JSON came, ``more`` if more than five variants, ``garbled`` if
    characters that no text can hold (NUL, halves of pairs) were left out.
    """

    variants: tuple[Variant, ...]
    wrapped: bool = False
    more: bool = False
    garbled: bool = False


def without_thinking(text: str) -> tuple[str, bool]:
    """Return a reply without its think blocks, and whether there were any.

    A block that never ends takes the rest along. A mark that ends a block which never began
    takes all before it along: some chat templates begin the block in the prompt.
    """
    if text.lstrip()[:1] == "{":
        # Such a mark inside bare JSON is part of a text, which the quality checks refuse.
        try:
            _decoder(strict=True).decode(text.strip())
        except (ValueError, RecursionError):
            pass
        else:
            return text, False
    kept: list[str] = []
    start, inside, found = 0, False, False
    for mark in _THINKING.finditer(text):
        found = True
        if mark["close"] or mark["end"]:
            if not inside:
                kept.clear()
            inside, start = False, mark.end()
        elif not inside:
            kept.append(text[start : mark.start()])
            inside = True
    if not inside:
        kept.append(text[start:])
    return "".join(kept), found


def read_reply(text: str) -> Reading:
    """Read the five variants of a reply from which the thinking has been taken out.

    Raises `Unusable` if there are none, with the reason ``malformed`` or ``incomplete``.
    """
    text = text.strip()
    if len(text) > _LARGEST:
        raise Unusable("malformed", f"a reply of {len(text)} characters is no record")
    wrapped = False
    try:
        value = _decoder(strict=True).decode(text)
    except (ValueError, RecursionError) as error:
        wrapped = True
        value = _last_record(text, open_end=text[:1] == "{" and _is_open(error, text))
    if isinstance(value, dict) and "variants" in value:
        value = value["variants"]
    elif not isinstance(value, list):
        raise Unusable("malformed", "there are no 'variants' in the JSON that came")
    try:
        variants, note = variants_of(value)
    except InputError as error:
        raise Unusable("incomplete", str(error)) from error
    if len(variants) < VARIANTS:
        raise Unusable("incomplete", f"only {len(variants)} of {VARIANTS} variants came")
    kept = tuple(Variant(*map(normalised, variant.texts())) for variant in variants)
    for number, variant in enumerate(kept, start=1):
        if not all(variant.texts()):
            raise Unusable("incomplete", f"variant {number} lacks one of its three texts")
    garbled = any(_UNFIT.search(text) for variant in variants for text in variant.texts())
    return Reading(kept, wrapped, note is not None, garbled)


def normalised(text: str) -> str:
    """Return a text as a record keeps it: white space collapsed, no control characters."""
    text = " ".join(text.split())
    if text.isprintable():
        return text
    kept = "".join(char for char in text if unicodedata.category(char) not in ("Cc", "Cs"))
    return " ".join(kept.split())


def _last_record(text: str, *, open_end: bool) -> Any:
    """Return the last complete JSON value that could be a record.

    Raises `Unusable` if there is none.
    """
    found, problem = None, ""
    for value, error in _values(text):
        if error is not None:
            problem = problem or str(error)
            open_end = open_end or _is_open(error, text)
        elif "variants" in value or (isinstance(value, list) and FIELD_KEYS.keys() & value[0]):
            found = value
    if found is None:
        what = f"broken JSON ({problem[:120]})" if problem else "no JSON"
        raise Unusable("malformed", f"{what} where a record was asked for", open_end=open_end)
    return found


def _values(text: str) -> Iterator[tuple[Any, Exception | None]]:
    """Yield what starts like a record: its value, or why it is none; never one inside another."""
    decoder, position = _decoder(strict=False), 0
    for _ in range(_ATTEMPTS):  # each may run to the end, so that their number bounds the time
        start = _START.search(text, position)
        if start is None:
            return
        begin = start.end() if start[0].strip() == "" else start.start()
        try:
            value, position = decoder.raw_decode(text, begin)
        except (ValueError, RecursionError) as error:
            yield None, error
            position = begin + 1
        else:
            yield value, None


def _is_open(error: Exception, text: str) -> bool:
    """Say whether the JSON stops in the middle because the text does."""
    return isinstance(error, json.JSONDecodeError) and (
        error.pos >= len(text) or error.msg.startswith("Unterminated string")
    )


def _decoder(*, strict: bool) -> json.JSONDecoder:
    """Return a decoder that refuses NaN and a key given twice."""
    return json.JSONDecoder(
        strict=strict, object_pairs_hook=_object, parse_constant=_refuse_constant
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    body = dict(pairs)
    if len(body) < len(pairs):
        raise ValueError("a key is given twice")
    return body


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
